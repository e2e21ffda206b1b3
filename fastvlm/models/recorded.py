"""Short passes on a GPU: recorded once as CUDA graphs and played back after. To start their operations one by one takes Python longer than
the GPU takes to do them.

A recording holds addresses. So the memory of a cache, with what was recorded over it, outlives the cache and serves a later one.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fastvlm.models.cache import KeyValueCache, Remembered, empty_layers

if TYPE_CHECKING:
    from fastvlm.models.decoder import Decoder

MOST_TOKENS = 16  # of a pass that is recorded: a longer one keeps the GPU at work while Python goes on
ROUNDED = 128  # tokens; capacities are multiples of it, so that a room serves texts of about the same length


class Pass:
    """Layers `first`..`last`-1 over so many tokens, which lie where they lay the time before."""

    def __init__(self, decoder: Decoder, room: Room, tokens: int, first: int, last: int | None):
        self._decoder, self._room, self._first, self._last = decoder, room, first, last
        self._places = copy(decoder.places)  # keeps the tables that it reads, whatever longer ones the decoder gets
        self._hidden = decoder.embedding.new_zeros(tokens, decoder.embedding.shape[1])
        self._start = torch.zeros((), dtype=torch.long, device=decoder.device)

    def __call__(self, hidden: Tensor, start: int) -> Tensor:
        """[tokens, hidden] at positions from `start` on -> the same."""
        self._hidden.copy_(hidden)
        self._start.fill_(start)
        return self._played().clone()

    def _played(self) -> Tensor:
        return self._compute()

    def _compute(self) -> Tensor:
        at = self._places.fixed(self._start, len(self._hidden), self._room.capacity)
        return self._decoder.through(self._hidden, self._room, at, self._first, self._last)


class RecordedPass(Pass):
    """A `Pass` as a CUDA graph."""

    made = 0  # of all decoders: a stopwatch must not count the recording
    _graph: torch.cuda.CUDAGraph | None = None

    def _played(self) -> Tensor:
        if self._graph is None:
            self._record()
        self._graph.replay()
        return self._output

    def _record(self) -> None:
        # Once before it is recorded, beside the main stream: kernels are loaded when they are first used, which cannot be recorded.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._room.pool):
            self._output = self._compute()
        self._graph = graph
        RecordedPass.made += 1


class Room:
    """Memory for the keys and values of one text, laid out as a cache's, and the passes over it."""

    def __init__(self, decoder: Decoder, capacity: int, memory_tokens: int, kind: type[Pass]):
        self.capacity, self._kind = capacity, kind
        self._all = empty_layers(decoder, capacity)
        self.layers = self._all.unbind(0)
        self.remembered = [_empty_memory(decoder, memory_tokens) if layer.cross else None for layer in decoder.layers]
        self.pool = torch.cuda.graph_pool_handle() if kind is RecordedPass else None
        self._passes: dict[tuple[Decoder, int, int, int | None], Pass] = {}

    def run(self, decoder: Decoder, hidden: Tensor, start: int, first: int, last: int | None) -> Tensor:
        """As `Decoder.run`; `decoder` may be any for whose caches this is."""
        key = (decoder, len(hidden), first, last)
        if key not in self._passes:
            self._passes[key] = self._kind(decoder, self, len(hidden), first, last)
        return self._passes[key](hidden, start)

    def cache(self, remembered: Sequence[Remembered | None]) -> KeyValueCache:
        """An empty cache here that knows the encoder's states."""
        for own, new in zip(self.remembered, remembered, strict=True):
            if own is not None:
                tokens = new.key_values.shape[1]
                own.key_values[:, :tokens] = new.key_values
                own.mask[:, :tokens], own.mask[:, tokens:] = 0, float("-inf")
        return KeyValueCache(self._all, self.remembered, room=self)


class Rooms:
    """Those of a decoder that are free."""

    def __init__(self, kind: type[Pass] = RecordedPass):
        self._kind = kind
        self._free: dict[tuple[int, int], list[Room]] = {}

    def cache(self, decoder: Decoder, capacity: int, remembered: Sequence[Remembered | None]) -> KeyValueCache:
        """For at least `capacity` tokens, in a room that no other cache is in; it is free again when nobody holds the cache."""
        capacity = min(_rounded(capacity), decoder.places.most or _rounded(capacity))
        decoder.places.reach(capacity)
        memory_tokens = _rounded(max((known.key_values.shape[1] for known in remembered if known is not None), default=0))
        free = self._free.setdefault((capacity, memory_tokens), [])
        room = free.pop() if free else Room(decoder, capacity, memory_tokens, self._kind)
        cache = room.cache(remembered)
        weakref.finalize(cache, free.append, room).atexit = False
        return cache


def _empty_memory(decoder: Decoder, tokens: int) -> Remembered:
    shape = decoder.shape
    key_values = decoder.embedding.new_zeros(2 * shape.kv_heads, tokens, shape.head_dim)
    return Remembered(key_values, decoder.embedding.new_zeros(1, tokens))


def _rounded(tokens: int) -> int:
    return -(-tokens // ROUNDED) * ROUNDED
