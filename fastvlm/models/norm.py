"""Root-mean-square norm (Zhang and Sennrich, arXiv 1910.07467), in as few operations as the device allows."""

from __future__ import annotations

from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor


class RmsNorm:
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis.

    torch fuses it on an accelerator, but takes seven small operations on a CPU. There, in full precision, it is written
    with one reduction: sqrt(mean(x^2) + epsilon) * sqrt(d) = hypot(|x|, sqrt(d * epsilon)).
    """

    def __init__(self, weight: Tensor, epsilon: float):
        self.weight, self.epsilon = weight, epsilon
        self._direct = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)
        self._gain = weight.detach() * sqrt(len(weight))
        self._floor = weight.new_tensor(sqrt(len(weight) * epsilon))

    def __call__(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] -> the same."""
        if not self._direct:
            return F.rms_norm(hidden, self.weight.shape, self.weight, self.epsilon)
        length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).hypot_(self._floor)
        return torch.mul(hidden, self._gain).div_(length)
