"""The imitation network: layer n's hidden state in, a guess of the last layer's out.

Its output passes through the backbone's own final norm and LM head, so it adds no vocabulary-sized weights.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

from fastvlm.errors import UserError


class MlpNetwork(nn.Module):
    """Norm, up, activation, down, residual; each position on its own. Starts as the bare early exit."""

    def __init__(self, config):
        super().__init__()
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.up = nn.Linear(config.hidden_size, 4 * config.hidden_size, bias=False)
        self.down = nn.Linear(4 * config.hidden_size, config.hidden_size, bias=False)
        self.activation = ACT2FN[config.hidden_act]
        nn.init.zeros_(self.down.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., hidden] -> [..., hidden]."""
        return hidden + self.down(self.activation(self.up(self.norm(hidden))))


class TransformerNetwork(nn.Module):
    """One decoder layer of the backbone's kind, attending to all positions so far. Starts as the backbone's last layer."""

    def __init__(self, config):
        super().__init__()
        self.config = copy.deepcopy(config)
        self.config._attn_implementation = "sdpa"
        self.layer = LlamaDecoderLayer(self.config, layer_idx=0)
        self.rotary = LlamaRotaryEmbedding(self.config)

    def forward(self, hidden: Tensor) -> Tensor:
        """[batch, tokens, hidden] -> [batch, tokens, hidden], causally."""
        angles = self.rotary(hidden, torch.arange(hidden.shape[1], device=hidden.device).unsqueeze(0))
        return self.layer(hidden, position_embeddings=angles)


NETWORKS = {"mlp": MlpNetwork, "transformer": TransformerNetwork}


def build_network(kind: str, config) -> nn.Module:
    """A network of `kind` for a backbone with this text config."""
    if kind not in NETWORKS:
        raise UserError(f"network '{kind}' is unknown; expected one of {', '.join(NETWORKS)}")
    return NETWORKS[kind](config)


def start_from_backbone(network: nn.Module, backbone: PreTrainedModel) -> None:
    """Give a transformer network the weights of the backbone's last layer."""
    if isinstance(network, TransformerNetwork):
        network.layer.load_state_dict(backbone.model.language_model.layers[-1].state_dict())
