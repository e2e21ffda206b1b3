"""A checkpoint folder -> transformers' model, with no weight in memory twice.

`from_pretrained` of a folder maps every file once for all of its tensors, so a page that was read counts until the last
of them is gone: also the float32 source of a weight that was converted, and q, k and v after they were fused. Here each
tensor has a mapping of its own, which goes when the tensor goes. All else (names, ties, what stays in float32) is left to
transformers, which takes our tensors as a state dict and asks for each when it needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

import torch
import transformers
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, GenerationConfig, PreTrainedModel
from transformers.utils import logging

from fastvlm.errors import UserError
from fastvlm.models.checkpoint import open_weights, weight_files


def load_model(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """The checkpoint's own class on the CPU, for inference. Weights that are `dtype` on disk stay mapped, others are converted.

    Raises `UserError` for files that are absent or broken, and for weights that config.json asks for and the files lack.
    """
    config = AutoConfig.from_pretrained(folder)
    stored, generation_config = _stored_tensors(folder), _generation_config(folder)
    with _silent_report():
        model, found = getattr(transformers, config.architectures[0]).from_pretrained(
            None,
            config=config,
            state_dict=stored,
            dtype=dtype,
            generation_config=generation_config,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    _check(folder, found)
    return model.requires_grad_(False)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file. `stored[...]` is what transformers asks of a lazy one: the tensor, in a mapping of its own."""

    file: Path
    name: str

    def __getitem__(self, index: EllipsisType) -> Tensor:
        with safe_open(self.file, "pt") as tensors:
            return tensors.get_tensor(self.name)


def _stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    stored: dict[str, StoredTensor] = {}
    for file in weight_files(folder):
        with open_weights(file) as tensors:
            stored |= {name: StoredTensor(file, name) for name in tensors.keys()}  # noqa: SIM118 (no mapping, only keys())
    return stored


def _generation_config(folder: Path) -> GenerationConfig | None:
    """What says how a text ends; without the file transformers takes it from config.json."""
    return GenerationConfig.from_pretrained(folder) if (folder / "generation_config.json").is_file() else None


@contextmanager
def _silent_report() -> Iterator[None]:
    """Without transformers' table of keys: what matters of it is one line, by `_check`."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _check(folder: Path, found: dict[str, Any]) -> None:
    if found["mismatched_keys"]:
        name, stored, expected = min(found["mismatched_keys"])
        shapes = f"{tuple(stored)}; expected {tuple(expected)} by config.json"
        raise UserError(f"{folder}: weight {name} has shape {shapes}; the weights and config.json are of different models")
    if found["missing_keys"]:
        count, name = len(found["missing_keys"]), min(found["missing_keys"])
        raise UserError(f"{folder}: {count} weights of config.json's model are missing, {name} first; copy or fetch the checkpoint again")
