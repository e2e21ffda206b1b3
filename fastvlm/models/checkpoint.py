"""What a checkpoint folder holds, before any weight is read: its files, its family, and whether its processor belongs to it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from fastvlm.errors import UserError

WHOLE, INDEX, CONFIG, SOURCE = "model.safetensors", "model.safetensors.index.json", "config.json", "source.json"
TEXTS = (".json", ".txt", ".model", ".jinja")  # configurations and what tokenizers are made of
SHA256 = re.compile("[0-9a-f]{64}")

# Class of a checkpoint -> its language model's type -> our family, and the processor that belongs to it.
FAMILIES = {
    "LlavaForConditionalGeneration": {"llama": "llava"},
    "Blip2ForConditionalGeneration": {"opt": "blip2-opt", "t5": "blip2-t5"},
}
PROCESSORS = {"LlavaForConditionalGeneration": "LlavaProcessor", "Blip2ForConditionalGeneration": "Blip2Processor"}


def checkpoint_folder(model: Path) -> Path:
    """The folder of weights: `model` itself, or the snapshot in the Hugging Face cache that its `source.json` names.

    Raises `UserError` if the snapshot is there no more, or not whole.
    """
    path = model / SOURCE
    if not path.is_file():
        return model
    from huggingface_hub import try_to_load_from_cache

    source = json.loads(path.read_text())
    config = try_to_load_from_cache(source["id"], CONFIG, revision=source["commit"])
    folder = Path(config).parent if isinstance(config, str) else None
    for name, size in source["files"].items():
        if folder is None or not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise UserError(
                f"{path}: {name} of {source['id']} at {source['commit']} is not in the Hugging Face cache any more; "
                f"run the fetch stage again (delete this file, or start Snakemake with --forcerun fetch)"
            )
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: one, or the shards that its index names.

    Raises `UserError` for a folder that is not there or lacks any of them.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected that of a checkpoint in transformers' format")
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if not (folder / INDEX).is_file():
        other = " (other formats, such as .bin, are not read)" if next(folder.glob("*.bin"), None) else ""
        raise UserError(f"{folder}: no weights; expected {WHOLE}, or {INDEX} with the files that it names{other}")
    files = [folder / name for name in sorted(set(_read_json(folder / INDEX).get("weight_map", {}).values()))]
    if not files:
        raise UserError(f"{folder / INDEX}: names no file of weights; copy or fetch the checkpoint again")
    if absent := [file for file in files if not file.is_file()]:
        raise UserError(f"{absent[0]}: not a whole safetensors file (it is missing, {INDEX} names it); copy or fetch the checkpoint again")
    return files


def checkpoint_files(folder: Path) -> list[Path]:
    """All that a stage may read of a checkpoint; raises `UserError` for a folder that is not one of our families, or not whole."""
    weights, _ = weight_files(folder), family_of(folder)
    return [*weights, *sorted(file for file in folder.iterdir() if file.name.endswith(TEXTS))]


@contextmanager
def open_weights(file: Path) -> Iterator[safe_open]:
    """A safetensors file for torch, of which nothing is read yet; raises `UserError` if it is broken."""
    try:
        with safe_open(file, "pt") as tensors:
            yield tensors
    except (OSError, SafetensorError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"{file}: not a whole safetensors file ({reason}); copy or fetch the checkpoint again") from None


def content_digest(path: Path) -> str:
    """SHA-256 of a file, the same wherever it is copied to; the Hugging Face cache names large files by it, so those are not read."""
    known = path.resolve().name
    return known if SHA256.fullmatch(known) else _digest(path, path.stat().st_size, path.stat().st_mtime_ns)


@cache
def _digest(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def family_of(folder: Path) -> str:
    """llava, blip2-opt or blip2-t5; raises `UserError` for a checkpoint of another class."""
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder}: no {CONFIG}; expected the folder of a checkpoint in transformers' format")
    config = _read_json(path)
    found = next(iter(config.get("architectures") or []), "none")
    languages = FAMILIES.get(found)
    if languages is None:
        raise UserError(f"{path}: the checkpoint's class is {found}; expected {' or '.join(FAMILIES)}")
    # transformers takes a language model that is not named to be the class's first.
    language = (config.get("text_config") or {}).get("model_type") or next(iter(languages))
    if language not in languages:
        raise UserError(f"{path}: the language model of this {found} is of type {language}; expected {' or '.join(languages)}")
    return languages[language]


def check_processor(folder: Path, model: Any, processor: Any) -> None:
    """Refuse a processor of another model with a `UserError`; `model` and `processor` are transformers', after `repair`."""
    expected = PROCESSORS[type(model).__name__]
    if type(processor).__name__ != expected:
        raise UserError(f"{folder}: the processor is a {type(processor).__name__}; expected the {expected} of {type(model).__name__}")
    config, tokenizer = model.config, processor.tokenizer
    rows = min(len(model.get_input_embeddings().weight), len(model.get_output_embeddings().weight))
    if len(tokenizer) > rows:
        raise UserError(
            f"{folder}: the tokenizer knows {len(tokenizer)} tokens, but the model has {rows} rows in its embedding and LM head; "
            "expected the tokenizer that it was trained with"
        )
    image = tokenizer.get_vocab().get("<image>")
    if image != config.image_token_index:
        found = "no token <image>" if image is None else f"<image> as token {image}"
        raise UserError(f"{folder}: the tokenizer has {found}; expected token {config.image_token_index}, as {CONFIG} says")
    for what, found, wanted in _sizes(config, processor):
        if found != wanted:
            raise UserError(f"{folder}: {what} is {found} in the processor; expected {wanted}, as {CONFIG} says")


def _sizes(config: Any, processor: Any) -> list[tuple[str, Any, Any]]:
    """What both sides must agree on for a prompt to have the right number of image tokens: (what, processor's, model's)."""
    vision, pictures = config.vision_config, processor.image_processor
    side = getattr(pictures, "crop_size", None) or pictures.size
    sizes = [("the side of a picture", side["height"], vision.image_size)]
    if config.model_type == "blip-2":
        return [*sizes, ("num_query_tokens", processor.num_query_tokens, config.num_query_tokens)]
    strategy = "vision_feature_select_strategy"
    return [
        *sizes,
        ("patch_size", processor.patch_size, vision.patch_size),
        (strategy, getattr(processor, strategy), getattr(config, strategy)),
    ]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not JSON that can be read ({error}); copy or fetch the checkpoint again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: found {type(value).__name__}, expected a JSON object; copy or fetch the checkpoint again")
    return value
