"""The norms of the dialects, in as few operations as the device allows."""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RmsNorm:
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis (Zhang and Sennrich, arXiv 1910.07467).

    torch fuses it on an accelerator, but takes seven small operations on a CPU. There, in full precision, it is written
    with one reduction: sqrt(mean(x^2) + epsilon) * sqrt(d) = hypot(|x|, sqrt(d * epsilon)).
    """

    def __init__(self, weight: Tensor, epsilon: float):
        self.weight, self.epsilon = weight.detach(), epsilon
        self._direct = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)
        self._gain = self.weight * sqrt(len(weight))
        self._floor = weight.new_tensor(sqrt(len(weight) * epsilon))

    def __call__(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] -> the same."""
        if not self._direct:
            return F.rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).hypot_(self._floor)
        return torch.mul(hidden, self._gain).div_(length)


class LayerNorm:
    """(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias over the last axis (Ba et al., arXiv 1607.06450)."""

    def __init__(self, norm: nn.LayerNorm):
        self._norm = norm

    def __call__(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] -> the same."""
        return F.layer_norm(hidden, self._norm.normalized_shape, self._norm.weight, self._norm.bias, self._norm.eps)
