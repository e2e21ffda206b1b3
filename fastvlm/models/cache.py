"""Static keys and values: append, and crop by setting a length. The only mutable thing in a decoding loop."""

from __future__ import annotations

import torch


class KeyValueCache:
    """Keys and values of a stack of decoder layers for one sequence, allocated once.

    `layers[i]` is [2 * kv_heads, capacity, head_dim], first the keys, then the values. Positions from `length` on are free
    to be overwritten: rolling drafts back is one assignment, whatever the layers above or below the exit wrote there.
    """

    def __init__(self, layers: int, kv_heads: int, capacity: int, head_dim: int, *, dtype: torch.dtype, device: torch.device):
        self.layers = torch.zeros(layers, 2 * kv_heads, capacity, head_dim, dtype=dtype, device=device).unbind(0)
        self.capacity = capacity
        self.length = 0
