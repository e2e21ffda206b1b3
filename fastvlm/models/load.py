"""A checkpoint -> backbone or target, whatever made it; what cannot run is refused before its weights are read."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, ProcessorMixin

from fastvlm.errors import UserError
from fastvlm.models.backbone import Backbone
from fastvlm.models.checkpoint import check_processor, checkpoint_folder, family_of
from fastvlm.models.device import resolve_device, resolve_dtype
from fastvlm.models.families import FAMILIES
from fastvlm.models.memory import check_memory
from fastvlm.models.repair import repair
from fastvlm.models.target import Target
from fastvlm.models.weights import load_model


def load_backbone(path: Path, knobs: dict[str, Any]) -> Backbone:
    """Load for inference with the knobs `device` and `dtype`; raises `UserError` for what is no such checkpoint, or does not fit."""
    folder, device, dtype = checkpoint_folder(path), resolve_device(knobs["device"]), resolve_dtype(knobs["dtype"])
    family = FAMILIES[family_of(folder)]
    if dtype in family.overflows_in:
        raise UserError(f"dtype: {knobs['dtype']} overflows in {family.family}; expected bfloat16 or float32 for {path}")
    check_memory(folder, device, dtype)
    model, processor = load_model(folder, dtype), _load_processor(folder)
    repair(model, processor)
    check_processor(folder, model, processor)
    return family(model.to(device), processor)


@torch.inference_mode()
def load_target(path: Path, knobs: dict[str, Any]) -> Target:
    """Load for decoding, as `load_backbone` does."""
    target = Target.of(load_backbone(path, knobs))
    gc.freeze()  # what is loaded stays: no collection walks it in the middle of a timed loop
    return target


def _load_processor(folder: Path) -> ProcessorMixin:
    try:
        return AutoProcessor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise UserError(f"{folder}: no processor that can be loaded ({reason}); expected its files beside the weights") from None
