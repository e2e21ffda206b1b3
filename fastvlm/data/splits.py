"""Which image belongs to which split, decided by the file where it says so and by a hash where it does not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from fastvlm.data.example import SPLITS

PREFIXES = {"train": "train", "restval": "train", "val": "validation", "test": "test"}


def named_split(word: str) -> str | None:
    """The split that a captions file means by `word` ('val2017', Karpathy's 'restval'); None if it means none."""
    return next((split for prefix, split in PREFIXES.items() if word.startswith(prefix)), None)


def assign_splits(named: dict[Any, str | None], validation: int | None) -> dict[Any, str]:
    """The split of every image id; `named` gives what the file says, None for each where it says nothing.

    Without any split: 80, 10 and 10 % by the hash of the id. With train and val but without test: val becomes test, so that
    results stand on the file's own held-out images, and `validation` images (a tenth if None) are held out of train.
    """
    if not any(named.values()):
        return {image: _tenth(image) for image in named}
    splits = {image: split for image, split in named.items() if split}
    if "test" not in splits.values():
        splits = {image: "test" if split == "validation" else split for image, split in splits.items()}
    if "validation" not in splits.values():
        train = [image for image, split in splits.items() if split == "train"]
        held_out = take(train, len(train) // 10 if validation is None else validation, salt="validation")
        splits |= dict.fromkeys(held_out, "validation")
    return splits


def hold_out(images: Iterable[Any], validation: int, train: int) -> dict[Any, str]:
    """The split of every id of a benchmark that publishes one split only: so many are held out by hash, and the others are test."""
    images = list(images)
    splits = dict.fromkeys(images, "test") | dict.fromkeys(take(images, validation, salt="validation"), "validation")
    rest = [image for image, split in splits.items() if split == "test"]
    return splits | dict.fromkeys(take(rest, train, salt="train"), "train")


def limit(splits: dict[Any, str], limits: dict[str, int | None], seed: int) -> dict[str, list[Any]]:
    """For each split at most so many image ids (None: all), chosen by hash, in the order of the ids."""
    members = {split: [image for image, own in splits.items() if own == split] for split in SPLITS}
    return {split: sorted(take(images, limits[split], salt=str(seed)), key=_order) for split, images in members.items()}


def take(images: Iterable[Any], count: int | None, salt: str) -> list[Any]:
    """The `count` ids of smallest hash (None: all), the same whatever their order."""
    return sorted(images, key=_hash_with(salt))[:count]


def _order(image: Any) -> tuple[bool, Any]:
    return isinstance(image, str), image


def _hash_with(salt: str) -> Callable[[Any], bytes]:
    return lambda image: hashlib.sha256(f"{salt}-{image}".encode()).digest()


def _tenth(image: Any) -> str:
    return {0: "validation", 1: "test"}.get(int.from_bytes(_hash_with("split")(image)[:4]) % 10, "train")
