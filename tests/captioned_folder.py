"""A small folder of images with a captions file, for tests of `files` datasets."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

SPLITS = ("train", "train", "train", "val", "test")
KNOBS = {
    "source": "files", "benchmark": "captions", "task": "caption", "captions": "captions.json", "images": "images",
    "train": None, "validation": None, "test": None,
}  # fmt: skip


def content() -> dict:
    """Ten images, two captions each."""
    images = [{"id": number, "file_name": f"{number}.png", "split": SPLITS[number % 5]} for number in range(10)]
    texts = [{"image_id": number, "caption": f" a picture {word} {number} "} for number in range(10) for word in ("of", "with")]
    return {"images": images, "annotations": texts}


def write_folder(folder: Path, captions: dict | list | str) -> Path:
    """Write the images 0.png to 9.png and the captions file."""
    (folder / "images").mkdir(parents=True)
    for number in range(10):
        Image.new("RGB", (8, 6), (20 * number, 0, 0)).save(folder / "images" / f"{number}.png")
    (folder / "captions.json").write_text(captions if isinstance(captions, str) else json.dumps(captions))
    return folder
