"""A folder of images with a captions file in COCO's format, as examples: the way in for data of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fastvlm.data.captions_file import CaptionedImage, read_captions
from fastvlm.data.example import SPLITS, Example, hash_pixels, open_image
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.splits import assign_splits, limit
from fastvlm.errors import UserError
from fastvlm.progress import progress


def read_examples(name: str, knobs: dict[str, Any], seed: int) -> Iterator[Example]:
    """The examples of a `files` dataset, split by split, in the order of the image ids.

    Everything but the pixels is checked before the first example is yielded. Raises `UserError` naming the file or record.
    """
    folder = Path(knobs["folder"])
    _check_folder(folder, "a folder with a captions file and images")
    captions, images = folder / knobs["captions"], folder / knobs["images"]
    captioned = {image.id: image for image in read_captions(captions)}
    _check_files(images, captions, captioned.values())
    splits = assign_splits({identity: image.split for identity, image in captioned.items()}, knobs["validation"])
    chosen = limit(splits, knobs, seed)
    for split in SPLITS:
        if not chosen[split]:
            raise UserError(f"{captions}: no image for the split '{split}' of dataset '{name}', expected at least one")
    for split in SPLITS:
        for identity in progress(chosen[split], f"{name} {split}"):
            yield _example(name, split, captioned[identity], images, knobs["task"])


def _example(name: str, split: str, image: CaptionedImage, folder: Path, task: str) -> Example:
    path = folder / image.file_name
    return Example(f"{name}-{image.id}", split, task, TASK_PROMPTS[task], image.captions, hash_pixels(open_image(path)), image=str(path))


def _check_folder(folder: Path, expected: str) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected {expected}")
    if not any(folder.iterdir()):
        raise UserError(f"{folder}: empty; expected {expected}")


def _check_files(folder: Path, captions: Path, images: Iterable[CaptionedImage]) -> None:
    _check_folder(folder, f"the images that {captions} names")
    for image in images:
        if not (folder / image.file_name).is_file():
            raise UserError(f"{folder / image.file_name}: no such file; {captions} names it for image id {image.id!r}")
