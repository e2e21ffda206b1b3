"""How far from the best: the measured speed-up, the one that acceptance and costs predict, and that of drafts that are always right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.decoding.costs import Costs, costs_of
from fastvlm.decoding.pooled_costs import pooled
from fastvlm.methods import FITTED, ORACLE_OF
from fastvlm.metrics.bootstrap import Estimate, resample
from fastvlm.metrics.runs import Row, Runs, Setting, group, read_runs
from fastvlm.metrics.speed import advantage, decode_speedup
from fastvlm.rows import read_rows
from fastvlm.selection import choice, read_selection
from fastvlm.table_file import KEY_COLUMNS, Record, write_table

ENDS = ("", "_low", "_high")
COLUMNS = (*KEY_COLUMNS, *(f"decode_speedup{end}" for end in ENDS), "predicted_speedup", "relative_error", "selected", "oracle_speedup")
COLUMNS += tuple(f"fraction_of_oracle{end}" for end in ENDS)


def write_ceiling(knobs: Mapping[str, Any], rows: Sequence[Path], cost: Sequence[Path], selection: Path, output: Path) -> None:
    """Write `ceiling.csv`: a line a drafting method, exit layer and fixed draft length, and FastVLM's selected setting whatever its policy.

    `predicted_speedup`: each round costs its draft steps and the pass over its drafts, as the cost stage measured them on all datasets;
    `relative_error` is predicted over measured, less 1. `fraction_of_oracle` is FastVLM's speed-up over the oracle's, both at what
    validation chose. `rows` are decode rows; knobs: `seed`, `resamples`, `confidence` (0 to 1).
    """
    runs = read_runs(rows, "test")
    measured = {model: pooled(of) for model, of in _by_model(cost).items()}
    chosen = {choice(record) for record in read_selection(selection)}
    write_table(output, COLUMNS, _lines(knobs, runs, measured, chosen))


def predict(rows: Sequence[Row], costs: Costs) -> float | None:
    """Speed-up of decoding: a token of plain decoding for each token, over what the rounds cost; None where nothing was decoded."""
    plain = costs.plain * sum(row["output_tokens"] - 1 for row in rows)
    spent = sum(_seconds([drafted for _, drafted, _ in row["passes"]], costs) for row in rows)
    return plain / spent if spent else None


def _seconds(drafts: Sequence[int], costs: Costs) -> float:
    """Of a text, by how many were drafted in each round; one without any is decoded plainly."""
    return costs.start + sum(map(costs.round, drafts)) if any(drafts) else costs.plain * len(drafts)


def _by_model(cost: Sequence[Path]) -> Mapping[str, Sequence[Row]]:
    rows = defaultdict[str, list[Row]](list)
    for row in (row for path in cost for row in read_rows(path)):
        rows[row["model"]].append(row)
    return rows


def _lines(knobs: Mapping[str, Any], runs: Runs, measured: Mapping[str, Sequence[Row]], chosen: set[tuple]) -> Iterator[Record]:
    for settings in group(runs, "model", "dataset").values():
        weights = resample(len(runs[settings[0]]), knobs["resamples"], np.random.default_rng(knobs["seed"]))
        oracle = next((s for s in settings if s.method == "oracle" and choice(s._asdict()) in chosen), None)
        for setting in settings:
            selected = choice(setting._asdict()) in chosen
            if setting.method in FITTED and (setting.policy == "fixed" or selected):
                costs = costs_of(measured.get(setting.model, []), setting.dataset, setting.method, setting.exit_layer)
                line = _line(setting, runs[setting], costs, weights, knobs["confidence"]) | {"selected": int(selected)}
                rival = runs[oracle] if oracle and selected and setting.method == ORACLE_OF else None
                yield line | (_fraction(runs[setting], rival, weights, knobs["confidence"]) if rival else {})


def _line(setting: Setting, rows: Sequence[Row], costs: Costs, weights: np.ndarray, confidence: float) -> Record:
    speedup = decode_speedup(rows, weights, confidence)
    predicted = predict(rows, costs)
    error = predicted / speedup.value - 1 if predicted and speedup.value else None
    key = setting._asdict() | {"examples": len(rows)}
    return key | speedup.columns("decode_speedup") | {"predicted_speedup": predicted, "relative_error": error}


def _fraction(rows: Sequence[Row], oracle: Sequence[Row], weights: np.ndarray, confidence: float) -> Record:
    best: Estimate = decode_speedup(oracle, weights, confidence)
    return {"oracle_speedup": best.value} | advantage(rows, oracle, weights, confidence).columns("fraction_of_oracle")
