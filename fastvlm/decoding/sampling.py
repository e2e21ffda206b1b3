"""Logits -> probabilities, in this one place, and tokens drawn from them. All randomness comes from the generator that is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_CLOCK = 1e-30  # seconds that no clock rings before: one at 0 would give a token of probability 0 its chance


@dataclass(frozen=True)
class Sampling:
    """How a distribution is shaped before a token is drawn: `temperature` above 0; then the `top_k` likeliest tokens; then of these
    the fewest, likeliest first, whose probabilities sum to `top_p`, which is above 0. None: all.

    Tokens that are equally likely stay or go together.
    """

    temperature: float
    top_k: int | None = None
    top_p: float | None = None


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """Logits [..., vocabulary] -> probabilities [..., vocabulary], in float32 at least.

    The order of temperature, top-k and top-p is that of transformers. Top-p: Holtzman et al., arXiv 1904.09751.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # Below the largest, so that a small temperature leads to 0 and not to infinity.
    scaled = (logits - logits.amax(-1, keepdim=True)) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < logits.shape[-1]:
        least = scaled.topk(sampling.top_k).values[..., -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    shaped = scaled.softmax(-1)
    return shaped if sampling.top_p is None or sampling.top_p == 1 else _nucleus(shaped, sampling.top_p)


def draw(weights: Tensor, generator: torch.Generator) -> Tensor:
    """One token of each row of weights [n, vocabulary], which need not sum to 1 -> [n].

    Each token has a clock that rings after an exponential time at the rate of its weight; the first to ring is drawn. This is the
    Gumbel-max trick without its logarithms, and never waits for the device.
    """
    clocks = torch.empty_like(weights).exponential_(generator=generator).clamp_(min=LEAST_CLOCK)
    return (weights / clocks).argmax(-1)


def residual(wanted: Tensor, proposed: Tensor) -> Tensor:
    """norm(max(0, p - q)) of two distributions [..., vocabulary]: what q gives too little of. Zeros where p = q."""
    lacking = (wanted - proposed).clamp(min=0)
    return lacking / lacking.sum(-1, keepdim=True).clamp(min=torch.finfo(lacking.dtype).tiny)


def _nucleus(shaped: Tensor, top_p: float) -> Tensor:
    ordered = shaped.sort(-1, descending=True).values
    before = ordered.cumsum(-1) - ordered
    least = ordered.masked_fill(before >= top_p, torch.inf).amin(-1, keepdim=True)
    kept = shaped.masked_fill(shaped < least, 0)
    return kept / kept.sum(-1, keepdim=True)
