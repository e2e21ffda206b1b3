"""LLaVA: a transformers checkpoint folder -> target. CLIP vision tower, projector, Llama decoder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoProcessor, LlavaForConditionalGeneration

from fastvlm.data.example import Example
from fastvlm.data.prompts import LLAVA_TEMPLATE
from fastvlm.errors import UserError
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Target

ARCHITECTURE = "LlavaForConditionalGeneration"


def load(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Target:
    """Load a LLaVA checkpoint in transformers' format; raises `UserError` for a folder of anything else."""
    _check(folder)
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=dtype).to(device).eval().requires_grad_(False)
    processor = AutoProcessor.from_pretrained(folder)
    return Target(
        model=model,
        decoder=language_decoder(model),
        end_tokens=end_tokens(model),
        prepare=lambda example: prepare(processor, example, device, dtype),
        embed_prompt=lambda inputs: embed_prompt(model, inputs),
        to_text=lambda tokens: processor.tokenizer.decode(tokens, skip_special_tokens=True).strip(),
    )


def language_decoder(model: LlavaForConditionalGeneration) -> Decoder:
    """Our decoder over the tensors of the model's Llama."""
    language = model.model.language_model
    return Decoder(
        language.layers,
        language.config,
        embedding=language.embed_tokens.weight,
        norm=language.norm.weight,
        head=model.lm_head.weight,
        rotary=language.rotary_emb,
    )


def end_tokens(model: LlavaForConditionalGeneration) -> frozenset[int]:
    """The ids that end a text, from the generation config."""
    ids = model.generation_config.eos_token_id
    return frozenset(ids if isinstance(ids, list) else [ids])


def prepare(processor, example: Example, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """`input_ids` [1, tokens] with one placeholder an image token, and `pixel_values` [1, 3, height, width]."""
    inputs = processor(images=example.pixels(), text=LLAVA_TEMPLATE.format(prompt=example.prompt), return_tensors="pt")
    return {"input_ids": inputs["input_ids"].to(device), "pixel_values": inputs["pixel_values"].to(device, dtype)}


def embed_prompt(model: LlavaForConditionalGeneration, inputs: dict[str, Tensor]) -> Tensor:
    """[tokens, hidden]: the prompt's embeddings with the projected image patches in the placeholders' places."""
    ids = inputs["input_ids"][0]
    embedded = model.get_input_embeddings()(ids)
    features = torch.cat(list(model.model.get_image_features(pixel_values=inputs["pixel_values"]).pooler_output))
    places = (ids == model.config.image_token_id).unsqueeze(-1).expand_as(embedded)
    return embedded.masked_scatter(places, features.to(embedded.dtype))


def _check(folder: Path) -> None:
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder}: no config.json; expected the folder of a transformers checkpoint")
    found = json.loads(config.read_text()).get("architectures") or ["none"]
    if ARCHITECTURE not in found:
        raise UserError(f"{config}: architectures is {', '.join(found)}; expected {ARCHITECTURE}")
