"""The three dialects of the decoder: how each names its parts in transformers, and in what it differs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from fastvlm.errors import UserError
from fastvlm.models.layer import CrossAttention, DecoderLayer, FeedForward, Linear, Norm, SelfAttention, Shape
from fastvlm.models.norm import LayerNorm, RmsNorm
from fastvlm.models.positions import Learned, Places, Relative, Rotary

# Where the input is not needed any more, activations overwrite it.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "relu": torch.relu_,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
}


class Dialect(ABC):
    """`config` is that of the language model, `language` the module that transformers calls the decoder."""

    def __init__(self, config, language: nn.Module):
        self.config, self.language = config, language

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """Of the attentions."""

    @abstractmethod
    def norm(self, norm: nn.Module) -> Norm:
        """A norm of transformers as ours."""

    @abstractmethod
    def layer(self, layer: nn.Module) -> DecoderLayer:
        """A layer of transformers as ours."""

    @abstractmethod
    def places(self, layers: Sequence[nn.Module], like: Tensor) -> Places:
        """How these layers know where tokens stand."""

    @property
    @abstractmethod
    def final_norm(self) -> Norm:
        """What stands between the last layer and the LM head."""

    def activation(self, name: str) -> Callable[[Tensor], Tensor]:
        if name not in ACTIVATIONS:
            raise UserError(f"activation '{name}' is unknown to the decoder; expected one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[name]


class LlamaDialect(Dialect):
    """RMSNorm, rotary positions, SwiGLU, grouped key/value heads (Touvron et al., arXiv 2302.13971)."""

    @property
    def shape(self) -> Shape:
        config = self.config
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return Shape(config.num_attention_heads, config.num_key_value_heads, head_dim, head_dim**-0.5)

    def norm(self, norm: nn.Module) -> Norm:
        return RmsNorm(norm.weight, self.config.rms_norm_eps)

    def layer(self, layer: nn.Module) -> DecoderLayer:
        attention, mlp = layer.self_attn, layer.mlp
        qkv, up = Linear(attention.q_proj, attention.k_proj, attention.v_proj), Linear(mlp.gate_proj, mlp.up_proj)
        activation = self.activation(self.config.hidden_act)
        return DecoderLayer(
            SelfAttention(self.shape, self.norm(layer.input_layernorm), qkv, Linear(attention.o_proj)),
            FeedForward(self.norm(layer.post_attention_layernorm), up, activation, Linear(mlp.down_proj), gated=True),
        )

    def places(self, layers: Sequence[nn.Module], like: Tensor) -> Places:
        return Rotary(like, LlamaRotaryEmbedding(self.config).to(like.device))

    @property
    def final_norm(self) -> Norm:
        return self.norm(self.language.norm)


class OptDialect(Dialect):
    """LayerNorm before each part, learned positions, ReLU, biases throughout (Zhang et al., arXiv 2205.01068)."""

    def __init__(self, config, language: nn.Module):
        super().__init__(config, language)
        if not config.do_layer_norm_before or config.word_embed_proj_dim != config.hidden_size or language.final_layer_norm is None:
            raise UserError(
                "OPT with norms after its parts or a narrower embedding (as in OPT-350m) is not supported;"
                " expected do_layer_norm_before: true and word_embed_proj_dim equal to hidden_size"
            )

    @property
    def shape(self) -> Shape:
        heads = self.config.num_attention_heads
        head_dim = self.config.hidden_size // heads
        return Shape(heads, heads, head_dim, head_dim**-0.5)

    def norm(self, norm: nn.Module) -> Norm:
        return LayerNorm(norm)

    def layer(self, layer: nn.Module) -> DecoderLayer:
        attention = layer.self_attn
        qkv = Linear(attention.q_proj, attention.k_proj, attention.v_proj)
        activation = self.activation(self.config.activation_function)
        return DecoderLayer(
            SelfAttention(self.shape, self.norm(layer.self_attn_layer_norm), qkv, Linear(attention.out_proj)),
            FeedForward(self.norm(layer.final_layer_norm), Linear(layer.fc1), activation, Linear(layer.fc2), gated=False),
        )

    def places(self, layers: Sequence[nn.Module], like: Tensor) -> Places:
        table = self.language.embed_positions
        return Learned(like, table.weight.detach(), table.offset)

    @property
    def final_norm(self) -> Norm:
        return self.norm(self.language.final_layer_norm)


class T5Dialect(Dialect):
    """Relative position bias, unscaled attention, cross-attention, an optional gate (Raffel et al., arXiv 1910.10683)."""

    @property
    def shape(self) -> Shape:
        config = self.config
        return Shape(config.num_heads, config.num_heads, config.d_kv, 1.0)

    def norm(self, norm: nn.Module) -> Norm:
        return RmsNorm(norm.weight, self.config.layer_norm_epsilon)

    def layer(self, layer: nn.Module) -> DecoderLayer:
        own, cross, forward = layer.layer
        attention, memory, dense = own.SelfAttention, cross.EncDecAttention, forward.DenseReluDense
        return DecoderLayer(
            SelfAttention(self.shape, self.norm(own.layer_norm), Linear(attention.q, attention.k, attention.v), Linear(attention.o)),
            self._feed_forward(self.norm(forward.layer_norm), dense),
            CrossAttention(self.shape, self.norm(cross.layer_norm), Linear(memory.q), Linear(memory.k, memory.v), Linear(memory.o)),
        )

    def _feed_forward(self, norm: Norm, dense: nn.Module) -> FeedForward:
        gated = self.config.is_gated_act
        up = Linear(dense.wi_0, dense.wi_1) if gated else Linear(dense.wi)
        return FeedForward(norm, up, self.activation(self.config.dense_act_fn), Linear(dense.wo), gated=gated)

    def places(self, layers: Sequence[nn.Module], like: Tensor) -> Places:
        return Relative(like, layers[0].layer[0].SelfAttention)

    @property
    def final_norm(self) -> Norm:
        """With a tied head T5 scales what goes into it; the norm's weight does both at once."""
        scale = self.config.d_model**-0.5 if self.config.scale_decoder_outputs else 1.0
        return RmsNorm(self.language.final_layer_norm.weight * scale, self.config.layer_norm_epsilon)


DIALECTS: dict[str, type[Dialect]] = {"llama": LlamaDialect, "opt": OptDialect, "t5": T5Dialect}
