"""Who chooses a token: the greatest logit, or a draw. The loops and the drafters ask; none of them knows which it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from fastvlm.decoding.sampling import Sampling, draw, probabilities
from fastvlm.decoding.verify import sampled_choices
from fastvlm.models.target import Prefix


class Choice(Protocol):
    """A loop calls `first` once a text. Logits are [tokens, vocabulary], what is chosen is [tokens]."""

    def first(self, prefix: Prefix) -> Tensor:
        """The answer's first token, [1]."""

    def next(self, logits: Tensor) -> Tensor:
        """The full model's."""

    def draft(self, logits: Tensor) -> Tensor:
        """A drafter's, from the distribution that it guesses; each becomes part of the round's draft."""

    def verify(self, drafts: Tensor, logits: Tensor) -> Tensor:
        """The full model's choices [k + 1] beside a round's `drafts` [k], as `verify_greedy` reads them."""


class Greedy:
    """The greatest logit, always: nothing is drawn."""

    def first(self, prefix: Prefix) -> Tensor:
        return prefix.first

    def next(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def draft(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1)

    def verify(self, drafts: Tensor, logits: Tensor) -> Tensor:
        return logits.argmax(-1)


class Sampled:
    """Draws with a generator of its own, which starts anew with each text: decoded again, a text is the same.

    What a drafter draws is verified against the distribution that it was drawn from, which is remembered for the round. A drafter that
    never asks for a draw says what it says with certainty.
    """

    def __init__(self, sampling: Sampling, seed: int, device: torch.device):
        self._sampling, self._seed = sampling, seed
        self._generator = torch.Generator(device)
        self._proposed: list[Tensor] = []

    def first(self, prefix: Prefix) -> Tensor:
        self._generator.manual_seed(self._seed)
        self._proposed = []
        return self.next(prefix.logits)

    def next(self, logits: Tensor) -> Tensor:
        return draw(probabilities(logits, self._sampling), self._generator)

    def draft(self, logits: Tensor) -> Tensor:
        self._proposed.append(probabilities(logits, self._sampling))
        return draw(self._proposed[-1], self._generator)

    def verify(self, drafts: Tensor, logits: Tensor) -> Tensor:
        proposed = torch.cat(self._proposed) if self._proposed else None
        self._proposed = []
        return sampled_choices(drafts, proposed, probabilities(logits, self._sampling), self._generator)


GREEDY = Greedy()


def choice_of(sampling: Mapping[str, Any] | None, device: torch.device, *setting: object) -> Choice:
    """Greedy where `sampling` is None; else draws by its `temperature`, `top_k` and `top_p`, seeded by its `seed` and `setting`."""
    if sampling is None:
        return GREEDY
    return Sampled(shape_of(sampling), seed_of(sampling["seed"], *setting), device)


def shape_of(sampling: Mapping[str, Any]) -> Sampling:
    return Sampling(**{name: sampling[name] for name in ("temperature", "top_k", "top_p")})


def seed_of(*names: object) -> int:
    """Another for other names, the same in every run."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, names)).encode()).digest()[:7])
