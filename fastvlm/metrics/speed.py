"""Speed-up: seconds of plain decoding over seconds of the method, both summed over the same examples of the same process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastvlm.metrics.bootstrap import Estimate, interval, ratio
from fastvlm.metrics.runs import Row, Runs, Setting, group, read_runs
from fastvlm.metrics.verdicts import interval_of, verdict
from fastvlm.selection import CHOICE
from fastvlm.table_file import Record, write_table

SPANS = {"decode": "decode only", "e2e": "end to end"}
SPEEDS = tuple(f"{span}_speedup{end}" for span in SPANS for end in ("", "_low", "_high"))
SELECTION_COLUMNS = (*CHOICE, "decode_speedup", "examples", "chosen_on", "best")


def decode_speedup(rows: Sequence[Row], weights: np.ndarray, confidence: float) -> Estimate:
    """Of the seconds after prefill only."""
    return ratio(*paired_seconds(rows, "decode"), weights, confidence)


def e2e_speedup(rows: Sequence[Row], weights: np.ndarray, confidence: float) -> Estimate:
    """Of the seconds end to end: vision, prefill and decoding."""
    return ratio(*paired_seconds(rows, "e2e"), weights, confidence)


def paired_seconds(rows: Sequence[Row], span: str) -> tuple[np.ndarray, np.ndarray]:
    """Plain decoding's seconds and the method's own in one of `SPANS`, each [examples]."""
    plain, own = (_seconds(rows, f"{of}decode_seconds") for of in ("baseline_", ""))
    if span == "decode":
        return plain, own
    return _seconds(rows, "baseline_prefill_seconds") + plain, _seconds(rows, "prefill_seconds") + own


def in_words(record: Record) -> str:
    """'decode only: faster than plain decoding; end to end: ...': what the intervals of a line let one say, at their confidence."""
    return "; ".join(f"{name}: {verdict(interval_of(record, f'{span}_speedup'))}" for span, name in SPANS.items())


def decode_tokens_per_second(rows: Sequence[Row]) -> float | None:
    """Tokens after the first, which comes from prefill, by second of decoding."""
    seconds = sum(row["decode_seconds"] for row in rows)
    return sum(row["output_tokens"] - 1 for row in rows) / seconds if seconds > 0 else None


def select(rows: list[Path], output: Path) -> None:
    """Write the exit layer and draft length of highest decode speed-up on validation, by model, dataset, method and policy.

    `best`: 1 for the policy of highest speed-up of the method, else 0.

    A dataset without validation examples takes the setting that is fastest over those of the model's other datasets together.
    """
    runs = read_runs(rows, "validation")
    tested = group(read_runs(rows, "test"), "model", "dataset", "method", "policy")
    own = group(runs, "model", "dataset", "method", "policy")
    pooled = _pool(runs)
    chosen = [
        _best(runs, own[place], dataset=place[1], on="own")
        if place in own
        else _best(pooled, group(pooled, "model", "method", "policy").get((place[0], *place[2:]), []), dataset=place[1], on="others")
        for place in tested
    ]
    write_table(output, SELECTION_COLUMNS, _with_the_best(chosen))


def _with_the_best(chosen: list[Record]) -> list[Record]:
    best: dict[tuple, Record] = {}
    for record in chosen:
        method = record["model"], record["dataset"], record["method"]
        # Of equals the first: a fixed length.
        if method not in best or (record["decode_speedup"] or 0) > (best[method]["decode_speedup"] or 0):
            best[method] = record
    return [record | {"best": int(any(record is one for one in best.values()))} for record in chosen]


def _pool(runs: Runs) -> Runs:
    """The rows of all datasets under one setting."""
    pooled: Runs = {}
    for setting, rows in runs.items():
        pooled.setdefault(setting._replace(dataset=""), []).extend(rows)
    return pooled


def _best(runs: Runs, settings: list[Setting], *, dataset: str, on: str) -> Record:
    speedups = {setting: point(runs[setting]) for setting in settings}
    # Settings ascend, and `max` keeps the first of equals: the smaller exit layer, then the shorter draft.
    best = max(settings, key=lambda setting: speedups[setting] or 0)
    kept = {column: getattr(best, column) for column in CHOICE} | {"dataset": dataset}
    return kept | {"decode_speedup": speedups[best], "examples": len(runs[best]), "chosen_on": on}


def advantage(rows: Sequence[Row], rival: Sequence[Row], weights: np.ndarray, confidence: float) -> Estimate:
    """Decode speed-up over that of a rival on the same examples in the same order, with its paired interval."""
    value, other = point(rows), point(rival)
    if not value or not other:
        return Estimate(None, None, None)
    (plain, own), (plain_again, others) = ([weights @ seconds for seconds in paired_seconds(of, "decode")] for of in (rows, rival))
    counted = (own > 0) & (plain_again > 0)
    return Estimate(value / other, *interval((plain * others)[counted] / (own * plain_again)[counted], confidence))


def point(rows: Sequence[Row]) -> float | None:
    """Decode speed-up alone; None where no time was spent."""
    seconds = sum(row["decode_seconds"] for row in rows)
    return sum(row["baseline_decode_seconds"] for row in rows) / seconds if seconds > 0 else None


def _seconds(rows: Sequence[Row], field: str) -> np.ndarray:
    return np.array([row[field] for row in rows], dtype=np.float64)
