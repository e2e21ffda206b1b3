"""How what two ways of decoding said of the same example compares."""

from __future__ import annotations

from typing import Any

from fastvlm.decoding.replay import Replay
from fastvlm.decoding.trace import Trace
from fastvlm.models.target import Target

AGAINST = ("equal_to_baseline", "first_difference", "logit_gap")


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
