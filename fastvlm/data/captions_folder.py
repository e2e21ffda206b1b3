"""A folder of images with a captions file in COCO's format: the way in for data of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastvlm.data.captions_file import read_captions
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.published import Published, draft, from_files
from fastvlm.data.splits import assign_splits
from fastvlm.errors import UserError


def published(name: str, knobs: dict[str, Any]) -> Published:
    """The captions file of the knobs `folder` and `captions`, and the images of its folder `images`; `task` is the prompt's.

    Raises `UserError` naming the file or record.
    """
    folder, task = Path(knobs["folder"]), knobs["task"]
    _check_folder(folder, "a folder with a captions file and images")
    path, pictures = folder / knobs["captions"], folder / knobs["images"]
    images = {image.id: image for image in read_captions(path)}
    _check_folder(pictures, f"the images that {path} names")
    splits = assign_splits({identity: image.split for identity, image in images.items()}, knobs["validation"])

    def examples(identity: Any) -> tuple:
        return (draft(name, identity, task, TASK_PROMPTS[task], images[identity].captions),)

    return from_files(str(path), splits, lambda identity: pictures / images[identity].file_name, examples, [path])


def _check_folder(folder: Path, expected: str) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected {expected}")
    if not any(folder.iterdir()):
        raise UserError(f"{folder}: empty; expected {expected}")
