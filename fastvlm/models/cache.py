"""Static keys and values: append, and crop by setting a length. The only mutable thing in a decoding loop."""

from __future__ import annotations

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values of a stack of decoder layers for one sequence, allocated once.

    `keys[layer]` and `values[layer]` are [kv_heads, capacity, head_dim]. Positions from `length` on are free to be
    overwritten: rolling drafts back is one assignment, whatever the layers above or below the exit wrote there.
    """

    def __init__(self, layers: int, kv_heads: int, capacity: int, head_dim: int, *, dtype: torch.dtype, device: torch.device):
        shape = (layers, kv_heads, capacity, head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device).unbind(0)
        self.values = torch.zeros(shape, dtype=dtype, device=device).unbind(0)
        self.capacity = capacity
        self.length = 0

    @property
    def free(self) -> int:
        """Tokens that still fit."""
        return self.capacity - self.length
