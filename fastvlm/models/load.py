"""A checkpoint folder -> backbone or target, whatever made it."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor

from fastvlm.errors import UserError
from fastvlm.models.backbone import Backbone
from fastvlm.models.device import resolve_device, resolve_dtype
from fastvlm.models.families import FAMILIES
from fastvlm.models.target import Target
from fastvlm.models.weights import load_model

ARCHITECTURES = {"LlavaForConditionalGeneration": "llava", "Blip2ForConditionalGeneration": "blip2"}


def load_backbone(folder: Path, knobs: dict[str, Any]) -> Backbone:
    """Load for inference with the knobs `device` and `dtype`; raises `UserError` for a folder that is no such checkpoint."""
    family = family_of(folder)
    model = load_model(folder, resolve_dtype(knobs["dtype"])).to(resolve_device(knobs["device"]))
    return FAMILIES[family](model, AutoProcessor.from_pretrained(folder))


@torch.inference_mode()
def load_target(folder: Path, knobs: dict[str, Any]) -> Target:
    """Load for decoding, as `load_backbone` does."""
    target = Target.of(load_backbone(folder, knobs))
    gc.freeze()  # what is loaded stays: no collection walks it in the middle of a timed loop
    return target


def family_of(folder: Path) -> str:
    """Which family a checkpoint is of; raises `UserError` for another class."""
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder}: no config.json; expected the folder of a transformers checkpoint")
    config = json.loads(path.read_text())
    found = (config.get("architectures") or ["none"])[0]
    family = ARCHITECTURES.get(found)
    if family == "blip2":
        language = config.get("text_config", {}).get("model_type", "none")
        found, family = f"{found} over {language}", f"blip2-{language}"
    if family not in FAMILIES:
        raise UserError(f"{path}: architectures is {found}; expected {' or '.join(ARCHITECTURES)}, the latter over opt or t5")
    return family
