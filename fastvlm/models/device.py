"""Where and in which arithmetic a model runs."""

from __future__ import annotations

import torch

from fastvlm.errors import UserError


def resolve_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one; raises `UserError` for a device that this machine lacks."""
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if available else "cpu")
    if name == "cuda" and not available:
        raise UserError("device: cuda was asked for, but torch sees no CUDA device; expected 'cpu' or 'auto' on this machine")
    return torch.device(name)


def resolve_dtype(name: str) -> torch.dtype:
    return {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}[name]


def resolve_precision(name: str, device: torch.device) -> str:
    """`auto` is bfloat16 on a GPU that multiplies in it, else float32.

    No processor gains by it here. Most only emulate it, which takes twenty times as long; and those that have it compile a kernel for each
    shape that they meet: as batches differ in length, a training gets slower with every step: twice as slow in the end, for LLaVA and T5.
    """
    if name != "auto":
        return name
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float32"
