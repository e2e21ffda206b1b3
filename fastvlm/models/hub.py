"""A checkpoint of the hub -> files in the Hugging Face cache, and `source.json`, which says which they are."""

from __future__ import annotations

import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from httpx2 import TransportError
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_ETAG_TIMEOUT
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from fastvlm.errors import UserError
from fastvlm.models.checkpoint import CONFIG, SOURCE, TEXTS, WHOLE, checkpoint_files, family_of
from fastvlm.models.hub_errors import explained
from fastvlm.progress import Transfer
from fastvlm.rows import write_json

LOG = logging.getLogger(__name__)
SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
SERVER_ERROR = 500


def fetch(knobs: dict[str, Any], output: Path) -> None:
    """Have all files of a checkpoint in the cache, and write `source.json` to the folder `output`.

    Knobs: `id` and `revision`, a commit or None for the newest. Where the hub cannot be reached, what is in the cache counts.
    Raises `UserError` for what keeps it from being fetched, or a checkpoint that is none of our families.
    """
    identity, revision = knobs["id"], knobs["revision"]
    sizes = list_files(identity, revision)
    folder = _cached(identity, revision) if sizes is None else _download(identity, revision, sizes)
    if revision is None:
        LOG.warning("%s: no revision is pinned, and the newest may change; pin what was fetched with `revision: %s`", identity, folder.name)
    files = {file.name: file.stat().st_size for file in checkpoint_files(folder)}
    write_json(output / SOURCE, {"id": identity, "revision": revision, "commit": folder.name, "files": files})


def list_files(identity: str, revision: str | None) -> dict[str, int] | None:
    """name -> bytes of the files that make up a checkpoint on the hub; None where the hub cannot be reached."""
    with explained(identity, revision):
        try:
            listed = HfApi().model_info(identity, revision=revision, files_metadata=True, timeout=HF_HUB_ETAG_TIMEOUT).siblings
        except (TransportError, OfflineModeIsEnabled):
            return None
        except HfHubHTTPError as error:
            if error.response.status_code >= SERVER_ERROR:
                return None
            raise
    return choose(identity, {file.rfilename: file.size or 0 for file in listed or ()})


def choose(identity: str, sizes: dict[str, int]) -> dict[str, int]:
    """Of all files of a repository those that are read: safetensors of the whole model, JSON files and the tokenizer's."""
    weights = [name for name in sizes if name == WHOLE] or [name for name in sizes if SHARD.fullmatch(name)]
    if not weights:
        other = sorted(name for name in sizes if name.endswith((".bin", ".h5", ".msgpack", ".pt", ".pth", ".safetensors")))
        found = f"weights only as {', '.join(other[:3])}" if other else "no weights"
        raise UserError(f"{identity}: {found}; expected {WHOLE} or its shards: convert it, and name the folder with `source: folder`")
    if CONFIG not in sizes:
        raise UserError(f"{identity}: no {CONFIG}; expected a checkpoint in transformers' format")
    texts = [name for name in sizes if "/" not in name and name.endswith(TEXTS)]
    return {name: sizes[name] for name in [*sorted(texts), *sorted(weights)]}


def _download(identity: str, revision: str | None, sizes: dict[str, int]) -> Path:
    """The snapshot's folder. The config goes first: what is of another class is refused before gigabytes come."""
    folder = _get(identity, revision, CONFIG)
    try:
        family_of(folder)
    except UserError as error:
        raise UserError(f"{identity}: {error}") from None
    commit = folder.name
    missing = {name: size for name, size in sizes.items() if not _find(identity, commit, name)}
    _check_room(identity, sum(missing.values()))
    for name in missing:
        _get(identity, commit, name)
    return folder


def _check_room(identity: str, needed: int) -> None:
    free = shutil.disk_usage(HF_HUB_CACHE).free
    if needed > free:
        raise UserError(
            f"{identity}: {needed / 1e9:.2f} GB are to be fetched, but {HF_HUB_CACHE} has {free / 1e9:.2f} GB free; "
            "make room, or set HF_HOME to a folder on a larger disk"
        )
    print(f"{identity}: {needed / 1e9:.2f} GB to fetch", file=sys.stderr, flush=True)


def _find(identity: str, revision: str | None, name: str) -> Path | None:
    """A file in the cache."""
    path = try_to_load_from_cache(identity, name, revision=revision)
    return Path(path) if isinstance(path, str) else None  # it may also be a mark that the hub once lacked the file


def _get(identity: str, revision: str | None, name: str) -> Path:
    """The snapshot's folder with one more file in it."""
    with explained(identity, revision, f"fetching {name}"):
        return Path(hf_hub_download(identity, name, revision=revision, tqdm_class=Transfer)).parent


def _cached(identity: str, revision: str | None) -> Path:
    """The snapshot's folder, without the hub."""
    config = _find(identity, revision, CONFIG)
    if not config:
        raise UserError(
            f"{identity}: the hub cannot be reached (no network, or HF_HUB_OFFLINE is set), and revision {revision or 'main'} is not in "
            "the cache; fetch it once with a network, or set HF_HOME to the cache that has it"
        )
    folder = config.parent
    try:
        checkpoint_files(folder)
    except UserError as error:
        raise UserError(f"{identity}: the hub cannot be reached, and the cache does not hold all of it ({error})") from None
    LOG.warning("%s: the hub cannot be reached; what the cache holds, %s, is used", identity, folder.name)
    return folder
