"""Which method is fastest where: the lossless ones ranked by decode-only speed-up, and each set against FastVLM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastvlm.methods import claim, competes
from fastvlm.metrics.bootstrap import Estimate, resample
from fastvlm.metrics.runs import Runs, Setting, are_drawn, group
from fastvlm.metrics.speed import advantage, decode_speedup
from fastvlm.metrics.verdicts import compare, verdict
from fastvlm.table_file import KEY_COLUMNS, Record

OURS = "fastvlm"
ENDS = ("", "_low", "_high")
SPEEDUP, AGAINST = (tuple(f"{name}{end}" for end in ENDS) for name in ("decode_speedup", "against_fastvlm"))
COLUMNS = (*KEY_COLUMNS, *SPEEDUP, "rank", "best", *AGAINST, "paired_verdict", "unpaired_verdict", "claim")


def lines(knobs: Mapping[str, Any], runs: Runs) -> Iterator[Record]:
    """A line a cell and method, of those that compete; `runs` holds one setting of each.

    `against_fastvlm` is the method's speed-up over FastVLM's on the same examples, with its paired interval, and `paired_verdict` what that
    says; `unpaired_verdict` only asks whether the two intervals of `speedup.csv` touch. Equal speed-ups share a rank; where no time was
    spent there is none.
    """
    for settings in group(runs, "model", "dataset").values():
        rivals = [setting for setting in settings if competes(setting.method)]
        weights = resample(len(runs[settings[0]]), knobs["resamples"], np.random.default_rng(knobs["seed"]))
        speeds = {setting: decode_speedup(runs[setting], weights, knobs["confidence"]) for setting in rivals}
        ours = next((setting for setting in rivals if setting.method == OURS), None)
        for setting, speed in speeds.items():
            line = setting._asdict() | {"examples": len(runs[setting]), "claim": claim(setting.method, drawn=are_drawn(runs[setting]))}
            line |= speed.columns("decode_speedup") | _rank(speed, list(speeds.values()))
            if ours and setting != ours:
                against = advantage(runs[setting], runs[ours], weights, knobs["confidence"])
                line |= against.columns("against_fastvlm") | _verdicts(setting, against, speed, speeds[ours])
            yield line


def behind(records: Sequence[Record]) -> list[str]:
    """A sentence for each cell and method that FastVLM is behind, in the paired comparison."""
    said = (
        "{model}/{dataset}: {method} is faster than fastvlm, {against_fastvlm:.2f} [{against_fastvlm_low:.2f}, {against_fastvlm_high:.2f}]"
    )
    return [f"{said.format(**record)} paired; unpaired: {record['unpaired_verdict']}" for record in records if _ahead(record)]


def _ahead(record: Record) -> bool:
    return (record.get("against_fastvlm_low") or 0) > 1


def _rank(speed: Estimate, others: Sequence[Estimate]) -> Record:
    if speed.value is None:
        return {"best": 0}
    faster = sum(other.value is not None and other.value > speed.value for other in others)
    return {"rank": 1 + faster, "best": int(not faster)}


def _verdicts(setting: Setting, against: Estimate, speed: Estimate, ours: Estimate) -> Record:
    unpaired = compare(ours._asdict(), speed._asdict(), (OURS, setting.method))
    return {"paired_verdict": verdict(against._asdict(), OURS), "unpaired_verdict": unpaired}
