"""A model of the configuration -> its shape and what it takes to have it, as far as that is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastvlm.config import Config
from fastvlm.errors import UserError
from fastvlm.models.checkpoint import SOURCE, checkpoint_folder, family_of, open_weights, weight_files
from fastvlm.planning.facts import known_checkpoints
from fastvlm.planning.shapes import Shape, read_shape


@dataclass(frozen=True)
class Source:
    """`origin` says in words where shape and bytes come from or, where `shape` is None, how to learn them."""

    shape: Shape | None
    download_bytes: int | None
    origin: str


def find_source(config: Config, name: str, results: Path, *, ask_hub: bool) -> Source:
    """Of a model of the configuration; `results` is the experiment's folder, which says what has been fetched.

    The network is used for hub models that have not, and only if `ask_hub`. Raises `UserError` for a folder that is no
    checkpoint, or where the hub does not answer.
    """
    model = config.models[name]
    if model.source == "train":
        return Source(_shape_of_knobs(model.model_dump()), 0, "trained here")
    if model.source == "folder":
        return Source(_shape_of_folder(Path(model.path)), 0, f"read in {model.path}")
    if folder := _fetched(results / "models" / name):
        return Source(_shape_of_folder(folder), 0, "read in the Hugging Face cache, where it is already")
    if ask_hub:
        from fastvlm.planning.hub import ask

        return Source(*ask(model.id, model.revision), "read on the hub")
    facts = known_checkpoints().get(model.id)
    if facts is None:
        return Source(None, None, f"unknown: {model.id} is none of the checkpoints whose sizes come with this package; give --ask-hub")
    return Source(facts.shape, facts.download_bytes, facts.confidence)


def _fetched(model: Path) -> Path | None:
    """The snapshot of a hub model whose fetch stage has run; None if it has not, or if the cache was emptied since."""
    if not (model / SOURCE).is_file():
        return None
    try:
        return checkpoint_folder(model)
    except UserError:
        return None


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
    from transformers import AutoConfig

    family_of(folder)
    sizes = {}
    for file in weight_files(folder):
        with open_weights(file) as tensors:
            sizes |= {name: math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118 (no mapping)
    return read_shape(AutoConfig.from_pretrained(folder), sizes)
