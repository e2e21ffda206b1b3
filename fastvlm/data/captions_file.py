"""A captions file in COCO's format, checked record by record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastvlm.data.records import field, read_json
from fastvlm.data.splits import PREFIXES, named_split
from fastvlm.errors import UserError

SHAPE = '{"images": [{"id", "file_name"}, ...], "annotations": [{"image_id", "caption"}, ...]}'


@dataclass(frozen=True)
class CaptionedImage:
    """An image of the file; `split` is None where the file gives no split at all. NoCaps gives a `domain`, others have none."""

    id: int | str
    file_name: str
    split: str | None
    captions: tuple[str, ...]
    domain: str = ""


def read_captions(path: Path) -> list[CaptionedImage]:
    """All images of the file with their captions, in the file's order.

    Raises `UserError`, one line that names the file, the record and what was expected, for anything else than COCO's format,
    for an image listed twice or without a caption, and for a caption that is empty or names no image.
    """
    content = _parse(path)
    images = _images(path, content)
    splits = _splits(path, content["images"])
    captions = _captions(path, content, images)
    for identity, file_name in images.items():
        if not captions[identity]:
            raise UserError(f"{path}: image {file_name} (id {identity}) has no caption; expected at least one annotation with its id")
    domains = {record["id"]: record.get("domain", "") for record in content["images"]}
    return [CaptionedImage(i, file_name, splits[i], tuple(captions[i]), domains[i]) for i, file_name in images.items()]


def _parse(path: Path) -> dict[str, Any]:
    content = read_json(path, f"a captions file in COCO's format, {SHAPE}")
    if not isinstance(content, dict):
        raise UserError(f"{path}: found a {type(content).__name__} at the top, expected {SHAPE}")
    for key in ("images", "annotations"):
        if not isinstance(content.get(key), list) or not content[key]:
            found = f"found {type(content[key]).__name__}" if content.get(key) else "missing or empty"
            raise UserError(f"{path}: key '{key}': {found}, expected a list of records, as in {SHAPE}")
    return content


def _images(path: Path, content: dict[str, Any]) -> dict[int | str, str]:
    """id -> file_name."""
    images: dict[int | str, str] = {}
    for number, record in enumerate(content["images"]):
        identity = field(f"{path}: images[{number}]", record, "id", int | str)
        if identity in images:
            raise UserError(f"{path}: images[{number}].id: {identity!r} occurs twice, expected each id once")
        images[identity] = field(f"{path}: images[{number}]", record, "file_name", str)
    return images


def _splits(path: Path, records: list[dict[str, Any]]) -> dict[int | str, str | None]:
    """id -> split; a file that gives one for some images only is refused, as the rest would land anywhere."""
    if not any("split" in record for record in records):
        return {record["id"]: None for record in records}
    splits = {}
    for number, record in enumerate(records):
        word = field(f"{path}: images[{number}]", record, "split", str)
        splits[record["id"]] = named_split(word)
        if splits[record["id"]] is None:
            raise UserError(f"{path}: images[{number}].split: found {word!r}, expected a word that begins with {', '.join(PREFIXES)}")
    return splits


def _captions(path: Path, content: dict[str, Any], images: dict[int | str, str]) -> dict[int | str, list[str]]:
    captions: dict[int | str, list[str]] = {identity: [] for identity in images}
    for number, record in enumerate(content["annotations"]):
        identity = field(f"{path}: annotations[{number}]", record, "image_id", int | str)
        text = field(f"{path}: annotations[{number}]", record, "caption", str).strip()
        if identity not in images:
            raise UserError(f"{path}: annotations[{number}].image_id: {identity!r} names no image, expected the id of a record of 'images'")
        if not text:
            raise UserError(f"{path}: annotations[{number}].caption: empty, expected text (image id {identity!r})")
        captions[identity].append(text)
    return captions
