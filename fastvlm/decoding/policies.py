"""How many tokens to draft before the full model is asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar


class Policy:
    """The loop calls `start` once a text and per round `most`, then `wants` of each draft if the policy `watches`, then `learn`."""

    name: ClassVar[str]
    watches: ClassVar[bool] = False  # looks at each draft's probability; on an accelerator every look waits

    def start(self) -> None:
        """A text begins."""

    def most(self, context: int) -> int:
        """Of a round that begins behind `context` tokens, drafts at most; 0: none, as in plain decoding."""
        raise NotImplementedError

    def wants(self, confidence: float) -> bool:
        """Whether a draft of this probability (by the drafter) is to be verified; if not, drafting ends before it."""
        return True

    def learn(self, drafted: int, accepted: int) -> None:
        """What became of the round."""


class Fixed(Policy):
    """The same number each round."""

    name = "fixed"

    def __init__(self, length: int):
        self.length = length

    def most(self, context: int) -> int:
        return self.length


class Confidence(Fixed):
    """Up to the first draft whose probability is below `threshold`.

    As in Draft & Verify (Zhang et al., arXiv 2309.08168) and Kangaroo (Liu et al., arXiv 2404.18911).
    """

    name = "confidence"
    watches = True

    def __init__(self, length: int, threshold: float):
        super().__init__(length)
        self.threshold = threshold

    def wants(self, confidence: float) -> bool:
        return confidence >= self.threshold


class Context(Policy):
    """By the length of the context, as FastVLM sets it (arXiv 2510.22641, Figure 5): `lengths[i]` from `begins[i]` tokens on."""

    name = "context"

    def __init__(self, begins: Sequence[int], lengths: Sequence[int]):
        self.begins, self.lengths = list(begins), list(lengths)

    def most(self, context: int) -> int:
        return self.lengths[max(0, bisect_right(self.begins, context) - 1)]
