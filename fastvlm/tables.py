"""Decode rows of the test split -> the tables. Counts are summed; every ratio is a view over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.errors import UserError
from fastvlm.methods import LOSSY, claim
from fastvlm.metrics import acceptance, machines, precision, speed
from fastvlm.metrics.bootstrap import Estimate, mean, ratio, resample
from fastvlm.metrics.runs import Row, Runs, Setting, are_drawn, group, read_runs
from fastvlm.provenance import git_state
from fastvlm.rows import read_rows, write_json
from fastvlm.selection import keep_selected, read_selection
from fastvlm.summary import summarise
from fastvlm.table_file import KEY_COLUMNS, Record, write_table

DRAFTED = ("drafted", "accepted", "acceptance_rate", "acceptance_rate_low", "acceptance_rate_high")
MEASURED = ("draft_step_seconds", "draft_start_seconds", "draft_look_seconds", "target_pass_seconds")
COSTS = tuple(f"{act}{end}" for act in MEASURED for end in ("", "_low", "_high"))
SPEEDUP = ("output_tokens", *speed.SPEEDS, "verdict", "decode_tokens_per_second", "equal_to_baseline", "claim")
COLUMNS = {
    "speedup": SPEEDUP,
    "speedup_by_machine": ("machine", *SPEEDUP),
    "acceptance": (*DRAFTED, "target_passes", "tokens_per_target_pass"),
    "acceptance_by_context": ("context_low", "context_high", *DRAFTED),
    "acceptance_by_position": ("position", *DRAFTED),
    "accepted_length": ("accepted", "passes"),
    "draft_length_by_context": ("context_low", "context_high", "passes", "drafted", "mean_draft_length"),
    "precision": precision.COLUMNS,
    "cost": ("tokens_in_pass", *COSTS, "added_parameters", "added_bytes"),
}
# transformers' loop does not say how many passes it ran; what is never verified runs none.
WITHOUT_PASSES = {"generate", *LOSSY}


def write_tables(knobs: dict[str, Any], rows: list[Path], cost: list[Path], selection: Path, output: Path) -> None:
    """Write the tables of `COLUMNS` and `provenance.json` into the folder `output`, and print the selected settings
    and, line by line, what differs where nothing may, and whether the rows come from several machines.

    The provenance is that of the machine that decoded most of the rows; `machines` in it are all of them.
    `speedup_by_machine.csv` has lines only where a setting's rows come from several.

    `rows` are decode rows of the test split, `cost` the measured costs; knobs: `seed`, `resamples`, `confidence` (0 to 1),
    `context_bin` (tokens, see `acceptance.bin_width`); `timed`, which is noted in the provenance.
    Raises `UserError` before any table is written where a row is missing, doubled or impossible.
    """
    runs = read_runs(rows, "test")
    known = machines.machines_of(runs, dict.fromkeys(path.parent for path in rows))
    tables = tabulate(knobs, runs)
    tables["cost"] = [{"experiment": next(iter(runs)).experiment} | record for path in cost for record in _costs(knobs, path)]
    chosen = read_selection(selection)
    screen = summarise(keep_selected(tables["speedup"], chosen), keep_selected(tables["acceptance"], chosen))
    for name, columns in COLUMNS.items():
        write_table(output / f"{name}.csv", (*KEY_COLUMNS, *columns), tables[name])
    provenance = next(iter(known.values())) | git_state() | {"timed": knobs["timed"], "machines": known}
    write_json(output / "provenance.json", provenance)
    print("\n".join([screen, *precision.broken_promises(tables["precision"]), *machines.warnings(known)]))


def tabulate(knobs: dict[str, Any], runs: Runs) -> dict[str, list[Record]]:
    """The records of every table that comes from decode rows, by the table's name."""
    tables: dict[str, list[Record]] = {name: [] for name in COLUMNS if name != "cost"}
    for settings in group(runs, "model", "dataset").values():
        # The same draws for all settings of a model and dataset, whatever else the experiment holds.
        weights = resample(len(runs[settings[0]]), knobs["resamples"], np.random.default_rng(knobs["seed"]))
        drafting = [runs[setting] for setting in settings if setting.method not in WITHOUT_PASSES]
        binned = knobs | {"context_bin": acceptance.bin_width(drafting, knobs["context_bin"])}
        for setting in settings:
            for name, record in _records(binned, setting, runs[setting], weights):
                tables[name].append(setting._asdict() | {"examples": len(runs[setting])} | record)
    return tables


def _records(knobs: dict[str, Any], setting: Setting, rows: list[Row], weights: np.ndarray) -> Iterator[tuple[str, Record]]:
    confidence = knobs["confidence"]
    yield "speedup", _speedup(rows, weights, confidence)
    for machine, of in machines.split(rows).items():
        alone = resample(len(of), knobs["resamples"], np.random.default_rng(knobs["seed"]))
        yield "speedup_by_machine", {"machine": machine, "examples": len(of)} | _speedup(of, alone, confidence)
    yield "precision", precision.differences(rows)
    if setting.method in WITHOUT_PASSES:
        return
    yield "acceptance", _acceptance(rows, weights, confidence)
    drafts = acceptance.drafts(rows)
    for position, counts in acceptance.by_group(drafts.position, drafts, len(rows)).items():
        yield "acceptance_by_position", {"position": position} | _rate(*counts, weights, confidence)
    width = knobs["context_bin"]
    for index, counts in acceptance.by_group(drafts.context // width, drafts, len(rows)).items():
        between = {"context_low": index * width, "context_high": (index + 1) * width}
        yield "acceptance_by_context", between | _rate(*counts, weights, confidence)
    if setting.draft_length is not None:
        for accepted, passes in acceptance.accepted_lengths(rows).items():
            yield "accepted_length", {"accepted": accepted, "passes": passes}
        for index, (passes, drafted) in acceptance.by_context(rows, width).items():
            between = {"context_low": index * width, "context_high": (index + 1) * width}
            yield "draft_length_by_context", between | {"passes": passes, "drafted": drafted, "mean_draft_length": drafted / passes}


def _speedup(rows: list[Row], weights: np.ndarray, confidence: float) -> Record:
    speeds = speed.decode_speedup(rows, weights, confidence).columns("decode_speedup")
    speeds |= speed.e2e_speedup(rows, weights, confidence).columns("e2e_speedup")
    return {
        "output_tokens": sum(row["output_tokens"] for row in rows),
        **speeds,
        "verdict": speed.in_words(speeds),
        "decode_tokens_per_second": speed.decode_tokens_per_second(rows),
        "equal_to_baseline": None if are_drawn(rows) else sum(row["equal_to_baseline"] for row in rows) / len(rows),
        "claim": claim(rows[0]["method"], drawn=are_drawn(rows)),
    }


def _acceptance(rows: list[Row], weights: np.ndarray, confidence: float) -> Record:
    totals = acceptance.count(rows)
    passes = int(totals.target_passes.sum())
    tokens = int(totals.committed.sum()) / passes if passes else None
    rate = _rate(totals.drafted, totals.accepted, weights, confidence)
    return rate | {"target_passes": passes, "tokens_per_target_pass": tokens}


def _rate(drafted: np.ndarray, accepted: np.ndarray, weights: np.ndarray, confidence: float) -> Record:
    estimate: Estimate = ratio(accepted, drafted, weights, confidence)
    return {"drafted": int(drafted.sum()), "accepted": int(accepted.sum()), **estimate.columns("acceptance_rate")}


def _costs(knobs: dict[str, Any], path: Path) -> Iterator[Record]:
    known = {"model", "dataset", "method", "exit_layer", *COLUMNS["cost"]} - set(COSTS)
    for row in read_rows(path) if path.is_file() else [{}]:
        acts = {name: np.array(row.pop(name)) for name in MEASURED if isinstance(row.get(name), list) and row[name]}
        if not acts or not {"model", "dataset", "method"} <= row.keys() <= known:
            raise UserError(f"{path}: not the rows that the cost stage writes; run it again")
        examples = len(next(iter(acts.values())))
        weights = resample(examples, knobs["resamples"], np.random.default_rng(knobs["seed"]))
        estimates = {name: mean(seconds, weights, knobs["confidence"]).columns(name) for name, seconds in acts.items()}
        yield row | {"examples": examples} | {column: value for columns in estimates.values() for column, value in columns.items()}
