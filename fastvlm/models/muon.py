"""The optimiser of the trainings: Muon for the weights that are matrices, AdamW for tables and vectors.

Muon (Jordan et al., 2024, 'Muon: an optimizer for hidden layers in neural networks') takes the momentum's nearest orthogonal matrix as its
step. On the small models it reaches in half the steps what AdamW reaches. torch has one, but takes matrix by matrix, in bfloat16, which
many processors only emulate; here those of one shape go together, in their own arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.02
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan et al.: of the quintic whose iteration takes singular values near 1 fastest
ITERATIONS = 5
ROOT_MEAN_SQUARE = 0.2  # of a step at rate 1, as large as AdamW's (Liu et al., arXiv 2502.16982, section 2.2): one rate suits both


class Muon(torch.optim.Optimizer):
    """Weights must be matrices. Decoupled weight decay, Nesterov momentum."""

    def __init__(self, groups: Sequence[dict[str, Any]]):
        super().__init__(groups, {"lr": 0.0})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            for shape, weights in alike.items():
                steps = orthogonal(torch.stack([self._momentum(weight) for weight in weights]))
                for weight, step in zip(weights, steps, strict=True):
                    weight.mul_(1 - group["lr"] * WEIGHT_DECAY)
                    weight.add_(step, alpha=-group["lr"] * ROOT_MEAN_SQUARE * max(shape) ** 0.5)

    def _momentum(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(state["momentum"], MOMENTUM)


class Together:
    """Several optimisers as the training loop sees one."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        return {str(number): optimizer.state_dict() for number, optimizer in enumerate(self.optimizers)}

    def load_state_dict(self, states: dict[str, Any]) -> None:
        for number, optimizer in enumerate(self.optimizers):
            optimizer.load_state_dict(states[str(number)])


def adamw(groups: Sequence[dict[str, Any]]) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True)


def build_optimizer(module: nn.Module, groups: Sequence[dict[str, Any]]) -> Together:
    """Muon for the matrices of `module` among the groups' weights, AdamW for tables and vectors; each group has its `lr`."""
    tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    head = module.get_output_embeddings() if hasattr(module, "get_output_embeddings") else None
    tables |= {id(head.weight)} if head is not None else set()

    def part(*, matrices: bool) -> list[dict[str, Any]]:
        kept = [[weight for weight in group["params"] if (weight.ndim == 2 and id(weight) not in tables) == matrices] for group in groups]
        return [{**group, "params": weights} for group, weights in zip(groups, kept, strict=True) if weights]

    made = []
    if others := part(matrices=False):
        made.append(adamw(others))
    if matrices := part(matrices=True):
        made.append(Muon(matrices))
    return Together(*made)


def orthogonal(matrices: Tensor) -> Tensor:
    """[count, rows, columns] -> near the orthogonal matrix next to each: singular values between about 0.7 and 1.2 (Newton-Schulz)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    near = matrices.mT if tall else matrices
    near = near / near.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = near @ near.mT
        near = a * near + (b * gram + c * gram @ gram) @ near
    return near.mT if tall else near
