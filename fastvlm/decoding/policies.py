"""How many tokens to draft before the full model is asked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from fastvlm.decoding.calibration import Calibration
from fastvlm.decoding.costs import Costs


class Policy:
    """The loop calls `start` once a text, per round `most` and then `learn`; one that `watches` is asked at each draft too."""

    name: ClassVar[str]
    watches: ClassVar[bool] = False  # looks at each draft's probability; on an accelerator every look waits

    @property
    def always(self) -> int | None:
        """The number that it drafts each round, whatever the text; None if that differs."""
        return None

    def start(self) -> None:
        """A text begins."""

    def most(self, context: int) -> int:
        """Of a round that begins behind `context` tokens, drafts at most; 0: none, as in plain decoding."""
        raise NotImplementedError

    def goes_on(self) -> bool:
        """Whether one more is to be drafted."""
        return True

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

    @property
    def always(self) -> int | None:
        return None if self.watches else self.length

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

    @property
    def always(self) -> int | None:
        return self.lengths[0] if len(set(self.lengths)) == 1 else None

    def most(self, context: int) -> int:
        return self.lengths[max(0, bisect_right(self.begins, context) - 1)]


class Goodput(Policy):
    """Drafts as long as one more is worth its seconds: the length that gives the most expected tokens a second.

    A second is worth `rate` tokens, the best that this rule reaches (Dinkelbach's condition for the maximum of a ratio). A draft is
    verified if the chance that it and all before it stand is worth what it lengthens the pass by; one more is drafted if what that is
    expected to gain, over the chances that drafts have, is worth a draft step.
    """

    name = "goodput"
    watches = True
    TRUST = 10.0  # drafts of which the fitted estimate counts as many as have been seen

    def __init__(self, length: int, costs: Costs, estimate: Calibration, rate: float):
        self.length, self.estimate = length, estimate
        self._longer = [rate * (after - before) for before, after in pairwise(costs.passes)]
        self._worth = [_least(estimate.chances, longer, rate * costs.step) for longer in self._longer]

    def start(self) -> None:
        self._stood = self._expected = 0.0

    def most(self, context: int) -> int:
        self._context, self._alive, self._chances = context, 1.0, []
        return min(self.length, len(self._longer))

    def goes_on(self) -> bool:
        return self._alive * self._trust() >= self._worth[len(self._chances)]

    def wants(self, confidence: float) -> bool:
        chance = self.estimate.chance(confidence, self._context + len(self._chances))
        alive = self._alive * min(1.0, self._trust() * chance)
        if alive < self._longer[len(self._chances)]:
            return False
        self._alive = alive
        self._chances.append(chance)
        return True

    def learn(self, drafted: int, accepted: int) -> None:
        self._stood += accepted
        self._expected += sum(self._chances[: accepted + 1])  # those that were put to the test

    def _trust(self) -> float:
        """By how much more drafts stood in this text than was expected of them."""
        return (self.TRUST + self._stood) / (self.TRUST + self._expected)


class Steady(Fixed):
    """What goodput comes to where looking at drafts costs more than it spares: one length."""

    name = "goodput"


def load(fitted: dict[str, Any]) -> Policy | None:
    """The policy of a record; None where plain decoding is faster than any drafting."""
    if fitted["policy"] == "confidence":
        return Confidence(fitted["length"], fitted["threshold"])
    if fitted["policy"] == "context":
        return Context(fitted["begins"], fitted["lengths"])
    if not fitted["drafts"]:
        return None
    if "steady" in fitted:
        return Steady(fitted["steady"])
    costs = Costs(**fitted["costs"] | {"passes": tuple(fitted["costs"]["passes"])})
    estimate = Calibration(**fitted["estimate"] | {"chances": tuple(fitted["estimate"]["chances"])})
    return Goodput(fitted["length"], costs, estimate, fitted["rate"])


def _least(chances: Sequence[float], longer: float, step: float) -> float:
    """The least chance that all drafts so far stand at which one more draft is worth its step: where the mean of
    max(0, alive * chance - longer) reaches `step`. It may be above 1: never. Found by halving, once, as each draft asks for it.
    """
    low, high = 0.0, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        gain = sum(max(0.0, middle * chance - longer) for chance in chances) / max(1, len(chances))
        low, high = (low, middle) if gain >= step else (middle, high)
    return high
