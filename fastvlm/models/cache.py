"""Static keys and values: append, and crop by setting a length. The only mutable thing in a decoding loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

if TYPE_CHECKING:
    from fastvlm.models.decoder import Decoder
    from fastvlm.models.recorded import Room


class Remembered(NamedTuple):
    """What a layer keeps of the encoder's states: [2 * kv_heads, tokens, head_dim], first the keys, then the values, and where there is
    room for more tokens than there are, a mask [1, tokens] that is added to the scores."""

    key_values: Tensor
    mask: Tensor | None = None


class KeyValueCache:
    """Keys and values of a stack of decoder layers for one sequence, allocated once.

    `layers[i]` is [2 * kv_heads, capacity, head_dim], first the keys, then the values. Positions from `length` on are free
    to be overwritten: rolling drafts back is one assignment, whatever the layers above or below the exit wrote there.
    `remembered[i]` is layer i's keys and values of the encoder's states, which do not change; None without an encoder.
    `room` is where passes over it are recorded, on a GPU.
    """

    def __init__(self, layers: Tensor, remembered: Sequence[Remembered | None], *, room: Room | None = None):
        self.layers = layers.unbind(0)
        self.remembered = remembered
        self.room = room
        self.source: KeyValueCache | None = None
        self.capacity = layers.shape[2]
        self.length = 0

    def copy(self, capacity: int) -> KeyValueCache:
        """The same text in a cache with room for `capacity` tokens; what is written there leaves this one as it is."""
        heads, _, head_dim = self.layers[0].shape
        copied = KeyValueCache(self.layers[0].new_zeros(len(self.layers), heads, capacity, head_dim), self.remembered)
        for old, new in zip(self.layers, copied.layers, strict=True):
            new[:, : self.length] = old[:, : self.length]
        copied.length = self.length
        copied.source = self  # whose memory of the encoder's states it shares
        return copied


def empty_layers(decoder: Decoder, capacity: int) -> Tensor:
    """Room for `capacity` tokens in all layers of a decoder, [layers, 2 * kv_heads, capacity, head_dim]."""
    shape = decoder.shape
    return decoder.embedding.new_zeros(len(decoder.layers), 2 * shape.kv_heads, capacity, shape.head_dim)
