"""What a backbone is taught at its exits: the references, through its own final norm and LM head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from fastvlm.imitation.states import watch
from fastvlm.models.backbone import UNLABELLED, Backbone, Batch
from fastvlm.models.pretrain import sentence_loss


def weighted_loss(backbone: Backbone, batch: Batch, weights: Mapping[int, float], *, precision: str) -> Tensor:
    """The weighted mean of the cross-entropies at layers 1 to the last; `weights` names the layers that count, the last among them."""
    *exits, last = sorted(weights)
    with watch({str(layer): backbone.layers[layer - 1] for layer in exits}) as states:
        loss = weights[last] * sentence_loss(backbone, batch, precision=precision)
    for layer in exits:
        loss = loss + weights[layer] * exit_loss(backbone, batch, states[str(layer)], precision=precision)
    return loss / sum(weights.values())


def exit_loss(backbone: Backbone, batch: Batch, states: Tensor, *, precision: str) -> Tensor:
    """Cross-entropy of the references' tokens as a layer's states, [batch, positions, hidden], predict them."""
    labels = backbone.labels(batch, states.shape[1])
    spoken = labels != UNLABELLED
    with torch.autocast(backbone.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        logits = backbone.logits(backbone.norm(states[spoken]))
    return F.cross_entropy(logits.float(), labels[spoken])
