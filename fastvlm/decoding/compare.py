"""Neighbours in time: several ways to decode the same example, and how their texts compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch

from fastvlm.decoding.replay import Replay
from fastvlm.decoding.stopwatch import timed
from fastvlm.decoding.trace import Trace
from fastvlm.models.target import Target

AGAINST = ("equal_to_baseline", "first_difference", "logit_gap")


def compete(acts: Sequence[Callable[[], Trace]], *, repeats: int, turn: int, device: torch.device) -> tuple[list[Trace], list[float]]:
    """Run each act in turn; who begins changes from example to example. Returns the traces and each act's median seconds."""
    traces: list[Trace] = [Trace([])] * len(acts)
    seconds: list[list[float]] = [[] for _ in acts]
    for repeat in range(repeats):
        for place in range(len(acts)):
            index = (place + turn + repeat) % len(acts)
            traces[index], taken = timed(acts[index], device)
            seconds[index].append(taken)
    return traces, [median(times) for times in seconds]


def outcome(target: Target, trace: Trace, baseline: Replay | None) -> dict[str, Any]:
    """What was said, how it was found, whether it is what plain decoding says, and by how much of a logit it is not.

    Without `baseline` the last two are not asked, as of texts that are drawn: they are equal in distribution, and not one by one.
    """
    return {
        "text": target.to_text(trace.tokens),
        "output_tokens": len(trace.tokens),
        **(_against(trace, baseline) if baseline else dict.fromkeys(AGAINST)),
        "passes": trace.passes,
    }


def _against(trace: Trace, baseline: Replay) -> dict[str, Any]:
    position = first_difference(trace.tokens, baseline.tokens)
    return dict(zip(AGAINST, (position is None, position, baseline.gap(trace.tokens, position)), strict=True))


def first_difference(tokens: list[int], baseline: list[int]) -> int | None:
    """Position of the first token that differs (or is missing on one side), None if all are equal."""
    for position, (ours, theirs) in enumerate(zip(tokens, baseline, strict=False)):
        if ours != theirs:
            return position
    return None if len(tokens) == len(baseline) else min(len(tokens), len(baseline))
