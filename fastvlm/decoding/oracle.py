"""A drafter that is always right at the cost of one that is not: what is left to gain by better drafts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastvlm.decoding.choice import Choice
from fastvlm.decoding.drafters import Bounds, ExitDrafter
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


class Oracle(ExitDrafter):
    """Does all that `drafter` does for a draft, then says the token that `hear` told it, which must be plain decoding's text."""

    def __init__(self, drafter: ExitDrafter):
        super().__init__(drafter.exit_layer)
        self.drafter = drafter

    def hear(self, text: Sequence[int]) -> None:
        """Of the example that is decoded next, once or several times."""
        self._text = text

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        self.drafter.start(prefix, new_tokens)
        # Behind the end of the text anything may be drafted: it is thrown away.
        self._truth = torch.tensor([*self._text, self._text[-1]], device=prefix.first.device).split(1)

    def draft(self, decoder: Decoder, cache: KeyValueCache, text: Sequence[int], token: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        self._place = len(text)
        return super().draft(decoder, cache, text, token, bounds)

    def guess(self, hidden: Tensor) -> Tensor:
        return self.drafter.guess(hidden)

    def choose(self, logits: Tensor, choice: Choice) -> Tensor:
        super().choose(logits, choice)
        self._place += 1
        return self._truth[min(self._place, len(self._truth)) - 1]

    def keep(self, states: Tensor, accepted: int) -> None:
        self.drafter.keep(states, accepted)
