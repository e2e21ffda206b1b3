"""The decoder, written for speed: plain tensor operations over the checkpoint's own tensors, cut at any layer.

Batch is 1 and the batch axis is left out: hidden states are [tokens, hidden]. The projections that read the same input
(q, k, v and gate, up) are fused into one matrix each; the checkpoint's parameters become views of it, so no weight is
held twice. What Llama, OPT and T5 do differently stands in `dialects`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastvlm.models.cache import KeyValueCache, empty_layers
from fastvlm.models.dialects import Dialect
from fastvlm.models.positions import Positions
from fastvlm.models.recorded import MOST_TOKENS, Room, Rooms
from fastvlm.models.tree import TokenTree


class Decoder:
    """A stack of layers with the final norm and the LM head of a checkpoint, for one sequence at a time."""

    def __init__(self, dialect: Dialect, layers: Sequence[nn.Module], *, embedding: Tensor, head: Tensor):
        self.dialect, self.shape = dialect, dialect.shape
        self.embedding, self.head_weight = embedding.detach(), head.detach()
        self.layers = [dialect.layer(layer) for layer in layers]
        self.norm = dialect.final_norm
        self.places = dialect.places(layers, self.embedding)
        self.rooms = Rooms() if self.device.type == "cuda" else None

    def with_layers(self, layers: Sequence[nn.Module]) -> Decoder:
        """Other layers between the same embedding, norm and head."""
        return Decoder(self.dialect, layers, embedding=self.embedding, head=self.head_weight)

    def without(self, attention: Collection[int], feed_forward: Collection[int]) -> Decoder:
        """This decoder, over the same tensors and for its caches, without the attentions and the feed-forwards of these layers.

        Positions are the decoder's and not a layer's: T5's first block may lose its attention, the bias that it owns stays.
        """
        thinner = copy(self)
        thinner.layers = [
            layer.without(attention=index in attention, feed_forward=index in feed_forward) for index, layer in enumerate(self.layers)
        ]
        return thinner

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.dtype

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    def new_cache(self, capacity: int, memory: Tensor | None = None) -> KeyValueCache:
        """An empty cache for `capacity` tokens; `memory` is the encoder's states [tokens, hidden], where there is an encoder.

        Raises `UserError` where the model cannot place so many tokens.
        """
        self.places.reach(capacity)
        remembered = [layer.cross.remember(memory) if layer.cross else None for layer in self.layers]
        if self.rooms:
            return self.rooms.cache(self, capacity, remembered)
        return KeyValueCache(empty_layers(self, capacity), remembered)

    def embed(self, tokens: Tensor, start: int) -> Tensor:
        """[tokens] that stand from `start` on -> [tokens, hidden]."""
        return self.places.put(F.embedding(tokens, self.embedding), start)

    def run(self, hidden: Tensor, cache: KeyValueCache, start: int, *, first: int = 0, last: int | None = None) -> Tensor:
        """Layers `first`..`last`-1 over [tokens, hidden] at positions from `start` on; the cache holds all before."""
        if cache.room and len(hidden) <= MOST_TOKENS:
            return cache.room.run(self, hidden, start, first, last)
        return self.through(hidden, cache, self.places.at(start, len(hidden)), first, last)

    def run_tree(self, tree: TokenTree, cache: KeyValueCache, start: int) -> Tensor:
        """All layers over the tokens of a tree that continues a text of `start` tokens, whose keys and values the cache holds.

        Returns [tokens, hidden]. The tokens lie in the cache one behind the other, each at the position to which its branch
        brings it: the cache needs room for all of them, the model's positions have to reach the end of the longest branch.
        """
        at = self.places.of_branches(start, tree.depths, tree.looks)
        embedded = F.embedding(tree.tokens, self.embedding)
        return self.through(self.places.put_branches(embedded, start + tree.depths), cache, at)

    def through(self, hidden: Tensor, cache: KeyValueCache | Room, at: Positions, first: int = 0, last: int | None = None) -> Tensor:
        """As `run`, for tokens that stand anywhere."""
        span = zip(self.layers[first:last], cache.layers[first:last], cache.remembered[first:last], strict=True)
        for layer, cached, remembered in span:
            hidden = layer(hidden, at, cached, remembered)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] of any layer -> logits [tokens, vocabulary], through the model's own final norm and LM head."""
        return F.linear(self.norm(hidden), self.head_weight)
