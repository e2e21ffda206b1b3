"""Speed-up: seconds of plain decoding over seconds of the method, both summed over the same examples of the same process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastvlm.metrics.bootstrap import Estimate, ratio
from fastvlm.metrics.runs import Row, Runs, Setting, group, read_runs
from fastvlm.table_file import Record, write_table

SELECTION_COLUMNS = ("model", "dataset", "method", "exit_layer", "draft_length", "decode_speedup", "examples")


def decode_speedup(rows: Sequence[Row], weights: np.ndarray, confidence: float) -> Estimate:
    """Of the seconds after prefill only."""
    return ratio(_seconds(rows, "baseline_decode_seconds"), _seconds(rows, "decode_seconds"), weights, confidence)


def e2e_speedup(rows: Sequence[Row], weights: np.ndarray, confidence: float) -> Estimate:
    """Of the seconds end to end: vision, prefill and decoding."""
    baseline = _seconds(rows, "baseline_prefill_seconds") + _seconds(rows, "baseline_decode_seconds")
    return ratio(baseline, _seconds(rows, "prefill_seconds") + _seconds(rows, "decode_seconds"), weights, confidence)


def decode_tokens_per_second(rows: Sequence[Row]) -> float | None:
    """Tokens after the first, which comes from prefill, by second of decoding."""
    seconds = sum(row["decode_seconds"] for row in rows)
    return sum(row["output_tokens"] - 1 for row in rows) / seconds if seconds > 0 else None


def select(rows: list[Path], output: Path) -> None:
    """Write the exit layer and draft length of highest decode speed-up on validation, by model, dataset and method."""
    runs = read_runs(rows, "validation")
    chosen = [_best(runs, settings) for settings in group(runs, "model", "dataset", "method").values()]
    write_table(output, SELECTION_COLUMNS, chosen)


def _best(runs: Runs, settings: list[Setting]) -> Record:
    speedups = {setting: _point(runs[setting]) for setting in settings}
    # Settings ascend, and `max` keeps the first of equals: the smaller exit layer, then the shorter draft.
    best = max(settings, key=lambda setting: speedups[setting] or 0)
    kept = {column: getattr(best, column) for column in SELECTION_COLUMNS[:5]}
    return kept | {"decode_speedup": speedups[best], "examples": len(runs[best])}


def _point(rows: Sequence[Row]) -> float | None:
    seconds = sum(row["decode_seconds"] for row in rows)
    return sum(row["baseline_decode_seconds"] for row in rows) / seconds if seconds > 0 else None


def _seconds(rows: Sequence[Row], field: str) -> np.ndarray:
    return np.array([row[field] for row in rows], dtype=np.float64)
