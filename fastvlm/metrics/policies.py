"""What each draft-length policy brings: against plain decoding, and against the fixed length that was best on test, which none knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.runs import Runs, Setting, group, read_runs
from fastvlm.metrics.speed import advantage, decode_speedup, point
from fastvlm.metrics.verdicts import verdict
from fastvlm.selection import choice, read_policies
from fastvlm.table_file import KEY_COLUMNS, Record, write_table

ENDS = ("", "_low", "_high")
SPEEDUP = tuple(f"decode_speedup{end}" for end in ENDS)
AGAINST = tuple(f"against_best_fixed{end}" for end in ENDS)
COLUMNS = (*KEY_COLUMNS, *SPEEDUP, "best_fixed_exit_layer", "best_fixed_draft_length", "best_fixed_speedup", *AGAINST, "verdict")


def write_policies(knobs: Mapping[str, Any], rows: Sequence[Path], selection: Path, output: Path) -> None:
    """Write `policies.csv`: a line a model, dataset, method and policy, at the setting that validation chose for it.

    `against_best_fixed` is the policy's speed-up over that of the best fixed length, with its paired interval. `rows` are decode rows;
    knobs: `seed`, `resamples`, `confidence` (0 to 1).
    """
    runs = read_runs(rows, "test")
    chosen = {choice(record) for record in read_policies(selection)}
    write_table(output, COLUMNS, _lines(knobs, runs, chosen))


def _lines(knobs: Mapping[str, Any], runs: Runs, chosen: set[tuple]) -> Iterator[Record]:
    for settings in group((s for s in runs if s.policy), "model", "dataset", "method").values():
        fixed = [setting for setting in settings if setting.policy == "fixed"]
        best = max(fixed, key=lambda setting: point(runs[setting]) or 0)
        for setting in settings:
            if choice(setting._asdict()) in chosen:
                yield _line(knobs, runs, setting, best)


def _line(knobs: Mapping[str, Any], runs: Runs, setting: Setting, best: Setting) -> Record:
    rows, rival = runs[setting], runs[best]
    weights = resample(len(rows), knobs["resamples"], np.random.default_rng(knobs["seed"]))
    against = advantage(rows, rival, weights, knobs["confidence"])
    return {
        **setting._asdict(),
        "examples": len(rows),
        **decode_speedup(rows, weights, knobs["confidence"]).columns("decode_speedup"),
        "best_fixed_exit_layer": best.exit_layer,
        "best_fixed_draft_length": best.draft_length,
        "best_fixed_speedup": point(rival),
        **against.columns("against_best_fixed"),
        "verdict": "the best fixed length itself" if setting == best else verdict(against._asdict(), "the best fixed length"),
    }
