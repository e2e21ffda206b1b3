"""A vision-language model as the decoding loop sees it: an image and a prompt in, a decoder with a filled cache out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fastvlm.data.example import Example
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder


@dataclass(frozen=True)
class Prefix:
    """The state after prefill: what every method decodes from.

    `hidden[n]` is [prompt tokens, hidden], the prompt's states at layer n, for the exit layers asked for;
    `first` is [1], the greedy first token of the answer.
    """

    cache: KeyValueCache
    length: int
    first: Tensor
    hidden: Mapping[int, Tensor]


@dataclass(frozen=True)
class Target:
    """A loaded checkpoint.

    `prepare` turns an example into the processor's tensors (host work, untimed); `embed_prompt` turns these into
    [prompt tokens, hidden]: vision tower, projector, merge. `model` is the transformers model whose tensors the
    decoder shares.
    """

    model: torch.nn.Module
    decoder: Decoder
    end_tokens: frozenset[int]
    prepare: Callable[[Example], dict[str, Tensor]]
    embed_prompt: Callable[[dict[str, Tensor]], Tensor]
    to_text: Callable[[list[int]], str]

    def prefill(self, inputs: dict[str, Tensor], new_tokens: int, exit_layers: Collection[int] = ()) -> Prefix:
        """Vision and prompt through all layers, into a new cache with room for `new_tokens` more."""
        decoder = self.decoder
        hidden = self.embed_prompt(inputs)
        length = len(hidden)
        cache = decoder.new_cache(length + new_tokens)
        kept, done = {}, 0
        for exit_layer in sorted(exit_layers):
            kept[exit_layer] = hidden = decoder.run(hidden, cache, 0, first=done, last=exit_layer)
            done = exit_layer
        hidden = decoder.run(hidden, cache, 0, first=done)
        cache.length = length
        return Prefix(cache, length, decoder.head(hidden[-1:]).argmax(-1), kept)
