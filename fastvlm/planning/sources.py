"""A model of the configuration -> its shape and what it takes to have it, as far as that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastvlm.config import Config
from fastvlm.errors import UserError
from fastvlm.planning.facts import known_checkpoints
from fastvlm.planning.shapes import Shape, read_shape


@dataclass(frozen=True)
class Source:
    """`origin` says in words where shape and bytes come from or, where `shape` is None, how to learn them."""

    shape: Shape | None
    download_bytes: int | None
    origin: str


def find_source(config: Config, name: str, *, ask_hub: bool) -> Source:
    """Of a model of the configuration; the network is used for hub models, and only if `ask_hub`.

    Raises `UserError` for a folder that is no checkpoint, or where the hub does not answer.
    """
    model = config.models[name]
    if model.source == "train":
        return Source(_shape_of_knobs(model.model_dump()), 0, "trained here")
    if model.source == "folder":
        return Source(_shape_of_folder(Path(model.path)), 0, f"the files in {model.path}")
    if ask_hub:
        from fastvlm.planning.hub import ask

        return Source(*ask(model.id, model.revision), "what the hub holds now")
    facts = known_checkpoints().get(model.id)
    if facts is None:
        return Source(None, None, f"unknown: {model.id} is none of the checkpoints whose sizes come with this package; give --ask-hub")
    return Source(facts.shape, facts.download_bytes, facts.confidence)


def _shape_of_knobs(knobs: dict[str, Any]) -> Shape:
    """As the model will be built, but on the meta device, where weights take no memory."""
    import torch
    from transformers import AutoModelForImageTextToText

    from fastvlm.models.architectures import configuration

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(configuration(knobs, knobs["vocabulary"], knobs["layers"]))
    return read_shape(model.config, {name: weight.numel() for name, weight in model.named_parameters()})


def _shape_of_folder(folder: Path) -> Shape:
    """From config.json and the headers of the safetensors files; no weight is read."""
    from safetensors import safe_open
    from transformers import AutoConfig

    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no checkpoint; expected config.json and *.safetensors files in transformers' format")
    sizes = {}
    for file in files:
        with safe_open(file, "pt") as tensors:
            sizes |= {name: math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118 (no mapping)
    return read_shape(AutoConfig.from_pretrained(folder), sizes)
