"""MS-COCO captions in Karpathy's splits: from his file, or from a repository that publishes them.

The file: `dataset_coco.json` of Karpathy and Fei-Fei, "Deep visual-semantic alignments for generating image descriptions" (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fastvlm.data.example import Example
from fastvlm.data.layout import Examples, Hub, Layout, Listing, number_in_name
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.published import Identity, Published, draft, from_files, references
from fastvlm.data.records import field, find, read_json, text, unique
from fastvlm.data.splits import PREFIXES, named_split
from fastvlm.errors import UserError

SHAPE = 'Karpathy\'s dataset_coco.json, {"images": [{"cocoid", "filepath", "filename", "split", "sentences": [{"raw"}, ...]}, ...]}'
TEST_IMAGES = 5000  # all of val2014
THREE_SPLITS = {"train": "train", "validation": "validation", "test": "test"}
LAYOUTS = (
    # patomp/thai-mscoco-2014-captions
    Layout({"id": "cocoid", "image": "image", "captions": "sentences_raw", "file": "filename"}, THREE_SPLITS),
    # jp1924/KoreanImageCaptioningDataset
    Layout({"id": "cocoid", "image": "image", "captions": "en_sentences_raw", "file": "filename"}, THREE_SPLITS),
    # lmms-lab-encoder/COCO-Caption: val2014, of which Karpathy's file says what belongs where
    Layout({"id": "file_name", "image": "image", "captions": "answer"}, {"test": "val"}, identify=number_in_name),
)


@dataclass(frozen=True)
class KarpathyImage:
    """An image of the file; `file` is its path below the folder that holds val2014 and train2014."""

    split: str
    file: str
    captions: tuple[str, ...]


def read_karpathy(path: Path) -> dict[int, KarpathyImage]:
    """COCO id -> image. Raises `UserError` for a record that is not as expected, and unless test is Karpathy's."""
    records = field(str(path), read_json(path, SHAPE), "images", list)
    images = unique(str(path), (_image(f"{path}: images[{number}]", record) for number, record in enumerate(records)))
    check_test(str(path), {identity: image.file for identity, image in images.items() if image.split == "test"})
    return images


def _image(where: str, record: Any) -> tuple[int, KarpathyImage]:
    identity, word = field(where, record, "cocoid", int), field(where, record, "split", str)
    file = PurePosixPath(field(where, record, "filepath", str), text(where, record, "filename"))
    split = named_split(word)
    if split is None:
        raise UserError(f"{where}.split: found {word!r}, expected a word that begins with {', '.join(PREFIXES)}")
    captions = [text(where, sentence, "raw").strip() for sentence in field(where, record, "sentences", list)]
    return identity, KarpathyImage(split, str(file), references(where, captions))


def check_test(where: str, files: Mapping[int, str]) -> None:
    """Raise `UserError` unless COCO id -> file name are as many as Karpathy's test images, each the val2014 image of its id."""
    for identity, file in files.items():
        if PurePosixPath(file).name != f"COCO_val2014_{identity:012d}.jpg":
            raise UserError(f"{where}: test image {identity} is {file}, expected COCO_val2014_{identity:012d}.jpg")
    if len(files) != TEST_IMAGES:
        raise UserError(f"{where}: {len(files)} different images in test, expected Karpathy's {TEST_IMAGES}")


def published(name: str, knobs: dict[str, Any]) -> Published:
    """From Karpathy's file, the knob `karpathy`, and folders val2014 and train2014 in `images`, both inside `folder`."""
    folder = Path(knobs["folder"])
    path = folder / knobs["karpathy"]
    images = read_karpathy(path)

    def examples(identity: Identity) -> tuple[Example, ...]:
        return caption_examples(name, identity, {"captions": list(images[identity].captions)}, str(path))

    splits = {identity: image.split for identity, image in images.items()}
    return from_files(str(path), splits, lambda identity: folder / knobs["images"] / images[identity].file, examples, [path])


def caption_examples(name: str, identity: Identity, row: dict[str, Any], where: str, tags: tuple[str, ...] = ()) -> tuple[Example, ...]:
    """The example of an image whose `captions` are a list."""
    captions = references(where, field(where, row, "captions", list))
    return (draft(name, identity, "caption", TASK_PROMPTS["caption"], (caption.strip() for caption in captions), tags=tags),)


def _hub_splits(listing: Listing, knobs: dict[str, Any]) -> dict[Identity, str]:
    """By Karpathy's file where it is given, else as published."""
    if knobs["karpathy"]:
        path = Path(knobs["karpathy"])
        images = read_karpathy(path)
        missing = [identity for identity, image in images.items() if image.split == "test" and identity not in listing.published]
        if missing:
            raise UserError(f"{listing.where}: without {len(missing)} of the {TEST_IMAGES} test images of {path}, such as {missing[0]}")
        return {identity: find(str(path), images, identity, listing.where).split for identity in listing.published}
    if set(listing.layout.splits) != set(THREE_SPLITS):
        raise UserError(f"{listing.where}: publishes all of val2014 together; expected Karpathy's dataset_coco.json in the key 'karpathy'")
    ours = {theirs: split for split, theirs in listing.layout.splits.items()}
    splits = {identity: ours[theirs] for identity, theirs in listing.published.items()}
    check_test(listing.where, {identity: listing.named[identity]["file"] for identity, split in splits.items() if split == "test"})
    return splits


def _hub_examples(_: dict[str, Any]) -> Examples:
    return caption_examples


HUB = Hub(LAYOUTS, _hub_splits, _hub_examples)
