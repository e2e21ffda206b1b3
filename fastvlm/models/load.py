"""A checkpoint folder -> target, whatever made it."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import torch

from fastvlm.models import llava
from fastvlm.models.device import resolve_device, resolve_dtype
from fastvlm.models.target import Target


@torch.inference_mode()
def load_target(folder: Path, knobs: dict[str, Any]) -> Target:
    """Load with the knobs `device` and `dtype`; raises `UserError` for a folder that is no such checkpoint."""
    target = llava.load(folder, device=resolve_device(knobs["device"]), dtype=resolve_dtype(knobs["dtype"]))
    gc.freeze()  # what is loaded stays: no collection walks it in the middle of a timed loop
    return target
