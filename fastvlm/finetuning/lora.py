"""Low-rank adapters (Hu et al., arXiv 2106.09685) in the decoder's layers, for checkpoints too large to train all of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fastvlm.models.backbone import Backbone

if TYPE_CHECKING:
    from peft import PeftModel


def add_adapters(backbone: Backbone, lora: dict[str, Any]) -> PeftModel:
    """Put adapters beside every linear map of the decoder's layers, in place; they begin by changing nothing, and they alone learn.

    Knobs of `lora`: `rank`, `alpha`. Their first weights are of torch's generator.
    """
    # Here, as small models are trained without.
    from peft import LoraConfig, get_peft_model

    inside = {id(module) for module in backbone.layers.modules() if isinstance(module, nn.Linear)}
    names = [name for name, module in backbone.model.named_modules() if id(module) in inside]
    settings = LoraConfig(r=lora["rank"], lora_alpha=lora["alpha"], lora_dropout=0.0, target_modules=names)
    return get_peft_model(backbone.model, settings)


def learning(backbone: Backbone) -> list[nn.Parameter]:
    """The weights that learn, in the model's order."""
    return [weight for weight in backbone.model.parameters() if weight.requires_grad]


@torch.no_grad()
def merge_adapters(backbone: Backbone, lora: dict[str, Any], learned: Sequence[nn.Parameter]) -> None:
    """Add what adapters have `learned` to a backbone's weights, in place: it stays transformers' own model, with as many weights."""
    adapted = add_adapters(backbone, lora)
    for weight, value in zip(learning(backbone), learned, strict=True):
        weight.copy_(value)
    adapted.merge_and_unload()
