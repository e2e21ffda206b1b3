"""One decoder layer in plain tensor operations, put together from what the dialects share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastvlm.models.attention import attention
from fastvlm.models.cache import Remembered
from fastvlm.models.positions import Positions

Norm = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Shape:
    """What the attentions of a decoder share: numbers of heads, their width, and the factor of the scores."""

    heads: int
    kv_heads: int
    head_dim: int
    scale: float


class Linear:
    """Projections of the same input as one: [tokens, in] -> [tokens, out], and the same added to a residual."""

    def __init__(self, *projections: nn.Linear):
        self.weight, self.bias = fuse(projections)
        self._transposed = self.weight.t()

    def __call__(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.weight, self.bias)

    def added_to(self, residual: Tensor, hidden: Tensor) -> Tensor:
        added = torch.addmm(residual, hidden, self._transposed)
        return added if self.bias is None else added.add_(self.bias)


class SelfAttention:
    """Norm, attention over the text so far, residual."""

    def __init__(self, shape: Shape, norm: Norm, qkv: Linear, out: Linear):
        self.shape, self.norm, self.qkv, self.out = shape, norm, qkv, out

    def __call__(self, hidden: Tensor, at: Positions, cached: Tensor) -> Tensor:
        """[tokens, hidden] -> [tokens, hidden]; writes the tokens' keys and values into their places in `cached`."""
        heads, kv_heads = self.shape.heads, self.shape.kv_heads
        fused = self.qkv(self.norm(hidden)).view(len(hidden), -1, self.shape.head_dim)
        if at.cos is not None:
            turn(fused[:, : heads + kv_heads], at.cos, at.sin)
        by_head = fused.transpose(0, 1)
        seen = at.remember(cached, by_head[heads:])
        attended = attention(by_head[:heads], seen[:kv_heads], seen[kv_heads:], at.mask, self.shape.scale)
        return self.out.added_to(hidden, attended)


class CrossAttention:
    """Norm, attention over the encoder's states, residual."""

    def __init__(self, shape: Shape, norm: Norm, query: Linear, key_value: Linear, out: Linear):
        self.shape, self.norm, self.query, self.key_value, self.out = shape, norm, query, key_value, out

    def remember(self, memory: Tensor) -> Remembered:
        """Keys and values of the encoder's states [tokens, hidden], once for a text."""
        return Remembered(self.key_value(memory).view(len(memory), -1, self.shape.head_dim).transpose(0, 1).contiguous())

    def __call__(self, hidden: Tensor, remembered: Remembered) -> Tensor:
        """[tokens, hidden] -> [tokens, hidden]; `remembered` is what `remember` returned."""
        queries = self.query(self.norm(hidden)).view(len(hidden), -1, self.shape.head_dim).transpose(0, 1)
        keys, values = remembered.key_values[: self.shape.kv_heads], remembered.key_values[self.shape.kv_heads :]
        return self.out.added_to(hidden, attention(queries, keys, values, remembered.mask, self.shape.scale))


class FeedForward:
    """Norm, up (with a gate in front where `gated`), activation, down, residual."""

    def __init__(self, norm: Norm, up: Linear, activation: Callable[[Tensor], Tensor], down: Linear, *, gated: bool):
        self.norm, self.up, self.activation, self.down = norm, up, activation, down
        self.gated, self.width = gated, down.weight.shape[1]

    def __call__(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] -> [tokens, hidden]."""
        raised = self.up(self.norm(hidden))
        activated = self.activation(raised[:, : self.width] if self.gated else raised)
        return self.down.added_to(hidden, activated.mul_(raised[:, self.width :]) if self.gated else activated)


class DecoderLayer:
    """Attention over the text, attention over the encoder's states where the dialect has it, feed-forward; None where one is left out."""

    def __init__(self, attention: SelfAttention | None, feed_forward: FeedForward | None, cross: CrossAttention | None = None):
        self.attention, self.cross, self.feed_forward = attention, cross, feed_forward

    def without(self, *, attention: bool, feed_forward: bool) -> DecoderLayer:
        """The same layer without one of its sublayers, or both. A layer's two attentions are one sublayer: they stay or go together."""
        kept = (None, None) if attention else (self.attention, self.cross)
        return DecoderLayer(kept[0], None if feed_forward else self.feed_forward, kept[1])

    def __call__(self, hidden: Tensor, at: Positions, cached: Tensor, remembered: Remembered | None) -> Tensor:
        """[tokens, hidden] -> [tokens, hidden]; `cached` and `remembered` are this layer's in the cache."""
        if self.attention is not None:
            hidden = self.attention(hidden, at, cached)
        if self.cross is not None:
            hidden = self.cross(hidden, remembered)
        return hidden if self.feed_forward is None else self.feed_forward(hidden)


def turn(turning: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotate heads [tokens, heads, head_dim] to their positions, in place."""
    torch.addcmul(turning * cos, turning.roll(turning.shape[-1] // 2, -1), sin, out=turning)


def fuse(projections: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """One matrix (and bias) for projections of the same input; their parameters become views of its rows."""
    if len(projections) == 1:
        bias = projections[0].bias
        return projections[0].weight.detach(), bias if bias is None else bias.detach()
    fused = []
    for name in ("weight", "bias"):
        parts = [getattr(projection, name) for projection in projections]
        if parts[0] is None:
            fused.append(None)
            continue
        whole = torch.cat([part.detach() for part in parts])
        for part, view in zip(parts, whole.split([len(part) for part in parts]), strict=True):
            part.data = view
        fused.append(whole)
    return fused[0], fused[1]
