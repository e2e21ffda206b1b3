"""The decoder, written for speed: plain tensor operations over the checkpoint's own tensors, cut at any layer.

Batch is 1 and the batch axis is left out: hidden states are [tokens, hidden]. The projections that read the same input
(q, k, v and gate, up) are fused into one matrix each; the checkpoint's parameters become views of it, so no weight is
held twice. Llama dialect: RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al., arXiv 2302.13971).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastvlm.models.attention import attention
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.norm import RmsNorm


@dataclass(frozen=True)
class Shape:
    """Sizes that the layers of a decoder share."""

    heads: int
    kv_heads: int
    head_dim: int
    norm_epsilon: float

    @staticmethod
    def of(config) -> Shape:
        """From a transformers `LlamaConfig`."""
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return Shape(config.num_attention_heads, config.num_key_value_heads, head_dim, config.rms_norm_eps)


@dataclass(frozen=True)
class Positions:
    """What a pass over tokens at positions `start`..`stop`-1 needs to know of them; the same for all its layers.

    `cos` and `sin` are [tokens, 1, head_dim], the first half of `sin` negated. `mask` is [tokens, stop], 0 where a
    token may look and -inf where it may not, or None for a single token, which may look everywhere.
    """

    start: int
    stop: int
    cos: Tensor
    sin: Tensor
    mask: Tensor | None


class DecoderLayer:
    """One layer over the tensors of a transformers `LlamaDecoderLayer`."""

    def __init__(self, layer: nn.Module, shape: Shape):
        attention, mlp = layer.self_attn, layer.mlp
        self.shape = shape
        self.attention_norm = RmsNorm(layer.input_layernorm.weight, shape.norm_epsilon)
        self.mlp_norm = RmsNorm(layer.post_attention_layernorm.weight, shape.norm_epsilon)
        self.qkv, self.qkv_bias = fuse([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out, self.out_bias = attention.o_proj.weight.t(), attention.o_proj.bias
        self.gate_up, self.gate_up_bias = fuse([mlp.gate_proj, mlp.up_proj])
        self.down, self.down_bias = mlp.down_proj.weight.t(), mlp.down_proj.bias
        self.width = mlp.down_proj.in_features

    def __call__(self, hidden: Tensor, at: Positions, cached: Tensor) -> Tensor:
        """[tokens, hidden] -> [tokens, hidden]; writes the tokens' keys and values into their places in `cached`."""
        hidden = _add_linear(hidden, self._attend(self.attention_norm(hidden), at, cached), self.out, self.out_bias)
        gate_up = F.linear(self.mlp_norm(hidden), self.gate_up, self.gate_up_bias)
        activated = F.silu(gate_up[:, : self.width]).mul_(gate_up[:, self.width :])
        return _add_linear(hidden, activated, self.down, self.down_bias)

    def _attend(self, normed: Tensor, at: Positions, cached: Tensor) -> Tensor:
        heads, kv_heads, head_dim = self.shape.heads, self.shape.kv_heads, self.shape.head_dim
        fused = F.linear(normed, self.qkv, self.qkv_bias).view(len(normed), -1, head_dim)
        turning = fused[:, : heads + kv_heads]
        torch.addcmul(turning * at.cos, turning.roll(head_dim // 2, -1), at.sin, out=turning)
        by_head = fused.transpose(0, 1)
        cached[:, at.start : at.stop] = by_head[heads:]
        seen = cached[:, : at.stop]
        return attention(by_head[:heads], seen[:kv_heads], seen[kv_heads:], at.mask)


class Decoder:
    """A stack of layers with the final norm and the LM head of a checkpoint, for one sequence at a time."""

    def __init__(self, layers: Sequence[nn.Module], config, *, embedding: Tensor, norm: Tensor, head: Tensor, rotary: nn.Module):
        self.config = config
        self.shape = Shape.of(config)
        self.layers = [DecoderLayer(layer, self.shape) for layer in layers]
        self.embedding, self.head_weight = embedding, head
        self.norm = RmsNorm(norm, self.shape.norm_epsilon)
        self._rotary = rotary
        self._cos = self._sin = embedding.new_empty(0)

    def with_layers(self, layers: Sequence[nn.Module]) -> Decoder:
        """Other layers between the same embedding, norm and head."""
        shared = {"embedding": self.embedding, "norm": self.norm.weight, "head": self.head_weight, "rotary": self._rotary}
        return Decoder(layers, self.config, **shared)

    @property
    def dtype(self) -> torch.dtype:
        return self.embedding.dtype

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    def new_cache(self, capacity: int) -> KeyValueCache:
        """An empty cache for `capacity` tokens; grows the table of rotary angles where it is too short."""
        if len(self._cos) < capacity:
            self._extend(capacity)
        return KeyValueCache(len(self.layers), self.shape.kv_heads, capacity, self.shape.head_dim, dtype=self.dtype, device=self.device)

    def embed(self, tokens: Tensor) -> Tensor:
        """[tokens] -> [tokens, hidden]."""
        return F.embedding(tokens, self.embedding)

    def run(self, hidden: Tensor, cache: KeyValueCache, start: int, *, first: int = 0, last: int | None = None) -> Tensor:
        """Layers `first`..`last`-1 over [tokens, hidden] at positions from `start` on; the cache holds all before."""
        at = self.positions(start, len(hidden))
        for layer, cached in zip(self.layers[first:last], cache.layers[first:last], strict=True):
            hidden = layer(hidden, at, cached)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """[tokens, hidden] of any layer -> logits [tokens, vocabulary], through the model's own final norm and LM head."""
        return F.linear(self.norm(hidden), self.head_weight)

    def positions(self, start: int, tokens: int) -> Positions:
        """Of a pass over `tokens` tokens from `start` on; those of single tokens, the most frequent, are at hand."""
        if tokens == 1:
            return self._single[start]
        stop = start + tokens
        mask = self.embedding.new_zeros(tokens, stop)
        mask[:, start:] = torch.full((tokens, tokens), float("-inf"), device=self.device).triu(1)
        return Positions(start, stop, self._cos[start:stop], self._sin[start:stop], mask)

    def _extend(self, capacity: int) -> None:
        self._cos, self._sin = self._angles(capacity)
        angles = zip(self._cos.split(1), self._sin.split(1), strict=True)
        self._single = [Positions(start, start + 1, cos, sin, None) for start, (cos, sin) in enumerate(angles)]

    def _angles(self, capacity: int) -> tuple[Tensor, Tensor]:
        positions = torch.arange(capacity, device=self.device).unsqueeze(0)
        cos, sin = self._rotary(self.embedding[:1], positions)
        half = self.shape.head_dim // 2
        signed = torch.cat((-sin[0, :, :half], sin[0, :, half:]), -1)
        return cos[0].unsqueeze(1), signed.unsqueeze(1)


def fuse(projections: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """One matrix (and bias) for projections of the same input; their parameters become views of its rows."""
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


def _add_linear(residual: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    added = torch.addmm(residual, hidden, weight)
    return added if bias is None else added.add_(bias)
