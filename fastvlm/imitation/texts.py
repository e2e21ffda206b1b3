"""Distillation text: what the backbone itself says of the training and validation images, greedily."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, LlavaForConditionalGeneration

from fastvlm.data.example import Example, read_manifest
from fastvlm.data.prompts import LLAVA_TEMPLATE
from fastvlm.models.device import resolve_device
from fastvlm.progress import progress
from fastvlm.rows import write_rows

SPLITS = ("train", "validation")


@torch.inference_mode()
def generate_texts(knobs: dict[str, Any], model: Path, manifests: list[Path], output: Path) -> None:
    """One row an example: id, split, tokens; at most `examples` training images of each manifest, all validation images.

    Batched through transformers' `generate`: here throughput counts and nothing is timed.
    """
    device = resolve_device(knobs["device"])
    backbone = LlavaForConditionalGeneration.from_pretrained(model).to(device).eval()
    processor = AutoProcessor.from_pretrained(model)
    batches = [batch for manifest in manifests for batch in _batches(manifest, knobs["examples"], knobs["generation_batch"])]
    limits = {manifest.stem: limit for manifest, limit in zip(manifests, knobs["max_new_tokens"], strict=True)}
    rows = (
        {"id": example.id, "split": example.split, "tokens": tokens}
        for name, batch in progress(batches, "generating text")
        for example, tokens in zip(batch, _generate(backbone, processor, batch, limits[name]), strict=True)
    )
    write_rows(output, rows)


def chosen_examples(manifest: Path, split: str, most: int) -> list[Example]:
    """At most `most` training examples, spread over the manifest; all validation examples."""
    examples = read_manifest(manifest, split)
    return examples[:: max(1, len(examples) // most)][:most] if split == "train" else examples


def _batches(manifest: Path, most: int, size: int) -> Iterator[tuple[str, list[Example]]]:
    """Batches of one prompt each, so that no padding is needed."""
    for split in SPLITS:
        by_prompt = sorted(chosen_examples(manifest, split, most), key=lambda example: example.prompt)
        for _, group in groupby(by_prompt, key=lambda example: example.prompt):
            examples = list(group)
            yield from ((manifest.stem, examples[start : start + size]) for start in range(0, len(examples), size))


def _generate(backbone, processor, batch: list[Example], limit: int) -> list[list[int]]:
    """New tokens of each example, the end token included."""
    text = [LLAVA_TEMPLATE.format(prompt=example.prompt) for example in batch]
    inputs = processor(images=[example.pixels() for example in batch], text=text, return_tensors="pt").to(backbone.device)
    ids = backbone.generate(**inputs, max_new_tokens=limit, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    return [_up_to(tokens, backbone.generation_config.eos_token_id) for tokens in ids.tolist()]


def _up_to(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens
