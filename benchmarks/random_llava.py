"""A checkpoint of LLaVA-1.5-7B's widths and any size, with random weights that are never in memory all at once."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import count
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import GenerationConfig, LlavaForConditionalGeneration

from fastvlm.models.architectures import SPECIAL_IDS, configuration
from fastvlm.models.zoo import build_processor

KNOBS = {
    "family": "llava", "vocabulary": 300, "hidden": 4096, "intermediate": 11008, "heads": 32,
    "vision_hidden": 1024, "vision_layers": 4, "image_size": 112, "patch_size": 14,
}  # fmt: skip
ROWS = 32064  # of the embedding: the width of the head; the tokenizer needs few of them
LAYER = ".layers."


def save(folder: Path, parameters: int, dtype: torch.dtype) -> None:
    """Write a checkpoint of at least so many parameters, one file a layer; the most in memory is the largest file."""
    model = next(model for model in map(_shaped, count(1)) if model.num_parameters() >= parameters)
    model.config.dtype = dtype
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    GenerationConfig(**SPECIAL_IDS).save_pretrained(folder)
    build_processor(KNOBS, ["a red circle", "a blue square"]).save_pretrained(folder)
    files: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, weight in model.named_parameters():
        layer = name.split(LAYER)[1].split(".")[0] if LAYER in name else "other"
        files[f"model-{layer}.safetensors"][name] = weight
    for file, weights in files.items():
        save_file({name: _random(weight, dtype) for name, weight in weights.items()}, folder / file, metadata={"format": "pt"})
    index = {name: file for file, weights in files.items() for name in weights}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def _shaped(layers: int) -> LlavaForConditionalGeneration:
    """Shapes without values."""
    with torch.device("meta"):
        return LlavaForConditionalGeneration(configuration(KNOBS, ROWS, layers))


def _random(weight: Tensor, dtype: torch.dtype) -> Tensor:
    if weight.dim() == 1:
        return torch.ones(weight.shape, dtype=dtype)
    return torch.empty(weight.shape, dtype=dtype).normal_(std=weight.shape[-1] ** -0.5)
