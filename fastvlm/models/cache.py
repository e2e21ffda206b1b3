"""Static keys and values: append, and crop by setting a length. The only mutable thing in a decoding loop."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values of a stack of decoder layers for one sequence, allocated once.

    `layers[i]` is [2 * kv_heads, capacity, head_dim], first the keys, then the values. Positions from `length` on are free
    to be overwritten: rolling drafts back is one assignment, whatever the layers above or below the exit wrote there.
    `remembered[i]` is layer i's keys and values of the encoder's states, which do not change; None without an encoder.
    """

    def __init__(self, layers: Tensor, remembered: Sequence[Tensor | None]):
        self.layers = layers.unbind(0)
        self.remembered = remembered
        self.capacity = layers.shape[2]
        self.length = 0

    def copy(self, capacity: int) -> KeyValueCache:
        """The same text in a cache with room for `capacity` tokens; what is written there leaves this one as it is."""
        heads, _, head_dim = self.layers[0].shape
        like, held = self.layers[0], self.length
        copied = empty_cache(len(self.layers), heads // 2, capacity, head_dim, like=like, remembered=self.remembered)
        for old, new in zip(self.layers, copied.layers, strict=True):
            new[:, :held] = old[:, :held]
        copied.length = held
        return copied


def empty_cache(
    layers: int, kv_heads: int, capacity: int, head_dim: int, *, like: Tensor, remembered: Sequence[Tensor | None] = ()
) -> KeyValueCache:
    """Room for `capacity` tokens in the dtype and on the device of `like`."""
    room = torch.zeros(layers, 2 * kv_heads, capacity, head_dim, dtype=like.dtype, device=like.device)
    return KeyValueCache(room, remembered or (None,) * layers)
