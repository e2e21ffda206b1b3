"""Plain decoding of one example once more, untimed, with its logits: what stood against what where a text first differs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor

from fastvlm.models.target import Target


class Replay:
    """Of `tokens`, what plain decoding says after `inputs`: the same prompt, one token a pass, the same kernels."""

    def __init__(self, target: Target, inputs: dict[str, Tensor], tokens: list[int]):
        self.tokens = tokens
        self._target, self._inputs = target, inputs

    @cached_property
    def logits(self) -> Tensor:
        """[tokens, vocabulary]: row i chose token i. Taken when first asked for, as most texts do not differ."""
        return torch.cat(list(self._logits()))

    def gap(self, tokens: list[int], position: int | None) -> float | None:
        """The logit of plain decoding's own token minus that of the token in its place, at the position where they first
        differ; None where the texts are equal or one merely ends earlier."""
        if position is None or position >= min(len(tokens), len(self.tokens)):
            return None
        own, other = self.logits[position, [self.tokens[position], tokens[position]]].tolist()
        return own - other

    def _logits(self) -> Iterator[Tensor]:
        decoder, last = self._target.decoder, len(self._target.decoder.layers)
        prefix = self._target.prefill(self._inputs, len(self.tokens), {last})
        yield decoder.head(prefix.hidden[last][-1:])
        for place, token in enumerate(self.tokens[:-1], start=prefix.length):
            embedded = decoder.embed(prefix.first.new_tensor([token]), place)
            yield decoder.head(decoder.run(embedded, prefix.cache, place))
