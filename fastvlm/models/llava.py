"""LLaVA: CLIP vision tower, projector, Llama decoder (Liu et al., arXiv 2310.03744)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fastvlm.models.backbone import DecoderOnly, ids_of


class Llava(DecoderOnly):
    """Over a `LlavaForConditionalGeneration`."""

    family = "llava"

    @property
    def language(self) -> PreTrainedModel:
        return self.model.model.language_model

    @property
    def layers(self) -> nn.ModuleList:
        return self.language.layers

    @property
    def norm(self) -> nn.Module:
        return self.language.norm

    @property
    def end_tokens(self) -> frozenset[int]:
        return ids_of(self.model.generation_config.eos_token_id)

    def sight(self) -> list[nn.Parameter]:
        return [*self.model.model.vision_tower.parameters(), *self.model.model.multi_modal_projector.parameters()]

    def image_features(self, pixels: Tensor) -> Tensor:
        return torch.stack(list(self.model.model.get_image_features(pixel_values=pixels).pooler_output))

    def outputs(self, layer: nn.Module) -> list[nn.Linear]:
        return [layer.self_attn.o_proj, layer.mlp.down_proj]
