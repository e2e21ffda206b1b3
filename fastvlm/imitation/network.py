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
    """Norm, up, activation, down, residual; each position on its own. Starts as the bare early exit."""

    def __init__(self, config):
        super().__init__()
        self.norm = nn.RMSNorm(config.hidden_size, eps=NORM_EPSILON)
        self.up = nn.Linear(config.hidden_size, 4 * config.hidden_size, bias=False)
        self.down = nn.Linear(4 * config.hidden_size, config.hidden_size, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """[..., hidden] -> [..., hidden]."""
        return hidden + self.down(nn.functional.silu(self.up(self.norm(hidden))))


class TransformerNetwork(nn.Module, ABC):
    """One decoder layer of the backbone's kind, attending to all positions so far. Starts as the backbone's last layer."""

    layer: nn.Module

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
        """Take over the weights of the backbone's last layer."""
        self.layer.load_state_dict(backbone.layers[-1].state_dict())


class LlamaNetwork(TransformerNetwork):
    def __init__(self, config):
        super().__init__(config)
        self.layer = LlamaDecoderLayer(self.config, layer_idx=0)
        self.rotary = LlamaRotaryEmbedding(self.config)

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        angles = self.rotary(hidden, torch.arange(hidden.shape[1], device=hidden.device).unsqueeze(0))
        return self.layer(hidden, position_embeddings=angles)


class OptNetwork(TransformerNetwork):
    def __init__(self, config):
        super().__init__(config)
        self.layer = OPTDecoderLayer(self.config, layer_idx=0)

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return self.layer(hidden)


class T5Network(TransformerNetwork):
    """With a position bias of its own, which begins as the backbone's, and cross-attention to the encoder's states."""

    def __init__(self, config):
        super().__init__(config)
        self.config.is_decoder = True
        self.layer = T5Block(self.config, has_relative_attention_bias=True, layer_idx=0)

    def forward(self, hidden: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        length = hidden.shape[1]
        causal = torch.full((length, length), float("-inf"), device=hidden.device).triu(1)
        unseen = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(~mask, float("-inf"))[:, None, None]
        seen = {"encoder_hidden_states": memory, "encoder_attention_mask": unseen}
        return self.layer(hidden, attention_mask=causal[None, None], **seen)[0]

    def start_from(self, backbone: Backbone) -> None:
        first, last = backbone.layers[0].state_dict(), backbone.layers[-1].state_dict()
        self.layer.load_state_dict({**first, **last})


OF_DECODER = {"llama": LlamaNetwork, "opt": OptNetwork, "t5": T5Network}
NETWORKS = ("mlp", "transformer")


def build_network(kind: str, config) -> nn.Module:
    """A network of `kind` for a backbone whose language model has this config."""
    if kind not in NETWORKS:
        raise UserError(f"network '{kind}' is unknown; expected one of {', '.join(NETWORKS)}")
    return MlpNetwork(config) if kind == "mlp" else OF_DECODER[config.model_type](config)
