"""Distillation text: what the backbone itself says of the training and validation images, greedily."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from fastvlm.data.example import Example, read_manifest
from fastvlm.decoding.trace import up_to_end
from fastvlm.models.backbone import Backbone
from fastvlm.models.load import load_backbone
from fastvlm.progress import progress
from fastvlm.rows import write_rows

SPLITS = ("train", "validation")


@torch.inference_mode()
def generate_texts(knobs: dict[str, Any], model: Path, manifests: list[Path], output: Path) -> None:
    """One row an example: id, split, tokens; at most `examples` training images of each manifest, all validation images.

    Batched through transformers' `generate`: here throughput counts and nothing is timed.
    """
    torch.set_num_threads(knobs["threads"])
    backbone = load_backbone(model, knobs)
    batches = [batch for manifest in manifests for batch in _batches(backbone, manifest, knobs["examples"], knobs["generation_batch"])]
    limits = {manifest.stem: limit for manifest, limit in zip(manifests, knobs["max_new_tokens"], strict=True)}
    rows = (
        {"id": example.id, "split": example.split, "tokens": tokens}
        for name, batch in progress(batches, "generating text")
        for example, tokens in zip(batch, _generate(backbone, batch, limits[name]), strict=True)
    )
    write_rows(output, rows)


def chosen_examples(manifest: Path, split: str, most: int) -> list[Example]:
    """At most `most` training examples, spread over the manifest; all validation examples."""
    examples = read_manifest(manifest, split)
    return examples[:: max(1, len(examples) // most)][:most] if split == "train" else examples


def _batches(backbone: Backbone, manifest: Path, most: int, size: int) -> Iterator[tuple[str, list[Example]]]:
    """Batches of prompts of like length, so that little is padded."""
    for split in SPLITS:
        examples = chosen_examples(manifest, split, most)
        examples.sort(key=lambda example: len(backbone.processor.tokenizer.encode(backbone.prompt(example))))
        yield from ((manifest.stem, examples[start : start + size]) for start in range(0, len(examples), size))


def _generate(backbone: Backbone, batch: list[Example], limit: int) -> list[list[int]]:
    """New tokens of each example, the end token included."""
    # What a decoder generates must follow its prompt's last token; an encoder's padding must not stand between image and text.
    backbone.processor.tokenizer.padding_side = "right" if backbone.encoder else "left"
    text = [backbone.prompt(example) for example in batch]
    inputs = backbone.processor(images=[example.pixels() for example in batch], text=text, padding=True, return_tensors="pt")
    inputs = inputs.to(backbone.device, backbone.model.dtype)
    ids = backbone.model.generate(**inputs, max_new_tokens=limit, do_sample=False)
    return [up_to_end(tokens, backbone.end_tokens) for tokens in backbone.new_tokens(ids, inputs["input_ids"]).tolist()]
