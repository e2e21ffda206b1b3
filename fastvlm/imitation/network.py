"""The imitation network: layer n's hidden state in, a guess of the last layer's out.

Its output passes through the backbone's own final norm and LM head, so it adds no vocabulary-sized weights.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding
from transformers.models.opt.modeling_opt import OPTDecoderLayer
from transformers.models.t5.modeling_t5 import T5Block

from fastvlm.errors import UserError
from fastvlm.models.backbone import Backbone

NORM_EPSILON = 1e-6


class MlpNetwork(nn.Module):
    """Blocks of norm, up, activation, down, residual; each position on its own. Starts as the bare early exit."""

    def __init__(self, config, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(MlpBlock(config.hidden_size) for _ in range(layers))

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """[..., hidden] -> [..., hidden]."""
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class MlpBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.down(nn.functional.silu(self.up(self.norm(hidden))))


class TransformerNetwork(nn.Module, ABC):
    """Decoder layers of the backbone's kind, attending to all positions so far. Start as the backbone's last layers."""

    layers: nn.ModuleList

    def __init__(self, config):
        super().__init__()
        self.config = copy.deepcopy(config)
        self.config._attn_implementation = "sdpa"

    @abstractmethod
    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """[batch, tokens, hidden] -> [batch, tokens, hidden], causally.

        `memory` is the encoder's states [batch, prompt tokens, hidden] where the backbone has an encoder, and `mask`
        [batch, prompt tokens] is true on those that are not padding.
        """

    def start_from(self, backbone: Backbone) -> None:
        """Take over the weights of the backbone's last layers; raises `UserError` where it has fewer."""
        count = len(self.layers)
        if count > len(backbone.layers):
            raise UserError(f"imitation network: found {count} layers, expected 1 to {len(backbone.layers)}, as many as the decoder has")
        for own, layer in zip(self.layers, backbone.layers[-count:], strict=True):
            # Not strict: T5's first block has a position bias, the others have none.
            own.load_state_dict(layer.state_dict(), strict=False)


class LlamaNetwork(TransformerNetwork):
    def __init__(self, config, layers: int):
        super().__init__(config)
        self.layers = nn.ModuleList(LlamaDecoderLayer(self.config, layer_idx=index) for index in range(layers))
        self.rotary = LlamaRotaryEmbedding(self.config)

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        angles = self.rotary(hidden, torch.arange(hidden.shape[1], device=hidden.device).unsqueeze(0))
        for layer in self.layers:
            hidden = layer(hidden, position_embeddings=angles)
        return hidden


class OptNetwork(TransformerNetwork):
    def __init__(self, config, layers: int):
        super().__init__(config)
        self.layers = nn.ModuleList(OPTDecoderLayer(self.config, layer_idx=index) for index in range(layers))

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            hidden = layer(hidden)
        return hidden


class T5Network(TransformerNetwork):
    """With a position bias of its own, which begins as the backbone's, and cross-attention to the encoder's states."""

    def __init__(self, config, layers: int):
        super().__init__(config)
        self.config.is_decoder = True
        self.layers = nn.ModuleList(
            T5Block(self.config, has_relative_attention_bias=index == 0, layer_idx=index) for index in range(layers)
        )

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        length = hidden.shape[1]
        causal = torch.full((length, length), float("-inf"), device=hidden.device).triu(1)[None, None]
        unseen = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(~mask, float("-inf"))[:, None, None]
        bias = None
        for layer in self.layers:
            # The first block makes the bias of all, the mask included.
            hidden, bias, *_ = layer(
                hidden, attention_mask=causal, position_bias=bias, encoder_hidden_states=memory, encoder_attention_mask=unseen
            )
        return hidden

    def start_from(self, backbone: Backbone) -> None:
        super().start_from(backbone)
        own, first = (of[0].layer[0].SelfAttention.relative_attention_bias for of in (self.layers, backbone.layers))
        own.load_state_dict(first.state_dict())


OF_DECODER = {"llama": LlamaNetwork, "opt": OptNetwork, "t5": T5Network}
NETWORKS = ("mlp", "transformer")


def build_network(kind: str, config, *, layers: int = 1) -> nn.Module:
    """A network of `kind` with so many layers for a backbone whose language model has this config."""
    if kind not in NETWORKS:
        raise UserError(f"network '{kind}' is unknown; expected one of {', '.join(NETWORKS)}")
    return (MlpNetwork if kind == "mlp" else OF_DECODER[config.model_type])(config, layers)
