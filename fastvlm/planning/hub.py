"""What the hub says of a checkpoint: the sizes of its files and tensors. No weights are fetched."""

from __future__ import annotations

import math
import tempfile

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, NotASafetensorsRepoError
from transformers import AutoConfig

from fastvlm.errors import UserError
from fastvlm.planning.shapes import Shape, read_shape


def ask(identity: str, revision: str | None) -> tuple[Shape, int]:
    """Shape and bytes to download of a hub id. Raises `UserError` where the hub does not answer or holds no safetensors files."""
    hub = HfApi()
    try:
        listed = hub.model_info(identity, revision=revision, files_metadata=True).siblings
        headers = hub.get_safetensors_metadata(identity, revision=revision).files_metadata.values()
        with tempfile.TemporaryDirectory() as folder:
            hub.hf_hub_download(identity, "config.json", revision=revision, local_dir=folder)
            config = AutoConfig.from_pretrained(folder)
    except (HfHubHTTPError, HFValidationError, NotASafetensorsRepoError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{identity}: the hub did not tell its sizes ({reason}); check id, revision and access, or leave out --ask-hub"
        ) from None
    sizes = {name: math.prod(tensor.shape) for header in headers for name, tensor in header.tensors.items()}
    return read_shape(config, sizes), sum(file.size for file in listed if file.rfilename.endswith(".safetensors"))
