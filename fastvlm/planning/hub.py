"""What the hub says of a checkpoint: the sizes of its files and tensors. No weights are fetched."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from huggingface_hub import HfApi
from transformers import AutoConfig

from fastvlm.errors import UserError
from fastvlm.models.checkpoint import CONFIG, family_of
from fastvlm.models.hub import list_files
from fastvlm.models.hub_errors import explained
from fastvlm.planning.shapes import Shape, read_shape


def ask(identity: str, revision: str | None) -> tuple[Shape, int]:
    """Shape and bytes to download of a hub id.

    Raises `UserError` where the hub cannot be reached or refuses, and for a checkpoint that is none of our families.
    """
    files = list_files(identity, revision)
    if files is None:
        raise UserError(f"{identity}: the hub cannot be reached (no network, or HF_HUB_OFFLINE is set); leave out --ask-hub")
    with explained(identity, revision, "asking for its sizes"), tempfile.TemporaryDirectory() as folder:
        path = Path(HfApi().hf_hub_download(identity, CONFIG, revision=revision, local_dir=folder))
        family_of(path.parent)
        headers = HfApi().get_safetensors_metadata(identity, revision=revision).files_metadata.values()
        config = AutoConfig.from_pretrained(folder)
    sizes = {name: math.prod(tensor.shape) for header in headers for name, tensor in header.tensors.items()}
    return read_shape(config, sizes), sum(files.values())
