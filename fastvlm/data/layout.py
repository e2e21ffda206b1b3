"""How the hub's repositories publish a benchmark, and what a benchmark makes of their rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from fastvlm.data.example import Example
from fastvlm.data.published import Identity
from fastvlm.data.splits import hold_out
from fastvlm.errors import UserError

Knobs = dict[str, Any]
Examples = Callable[[str, Identity, dict[str, Any], str], tuple[Example, ...]]  # of dataset's name, id, row by our names, place of the row


@dataclass(frozen=True)
class Layout:
    """The columns and splits of one kind of repository.

    `columns` gives the column of each of our names, of which `id` and `image` are always there; `identify` makes the id of what
    stands in `id`. `splits` gives the published split of each of ours; where there is one only, it is called test.
    """

    columns: Mapping[str, str]
    splits: Mapping[str, str]
    identify: Callable[[Any], Identity] = field(default=lambda value: value)


@dataclass(frozen=True)
class Listing:
    """All ids of the published splits that were read, each with its published split and what stands in the column of its id."""

    where: str
    layout: Layout
    published: dict[Identity, str]
    named: dict[Identity, Any]


@dataclass(frozen=True)
class Hub:
    """A benchmark on the hub: known layouts, who goes into which split, and the maker of a row's examples, which joins official files."""

    layouts: tuple[Layout, ...]
    splits: Callable[[Listing, Knobs], dict[Identity, str]]
    examples: Callable[[Knobs], Examples]


def one_split(listing: Listing, knobs: Knobs) -> dict[Identity, str]:
    """Of a benchmark that publishes one split: `validation` and `train` rows are held out of it, the others are test."""
    return hold_out(listing.published, knobs["validation"], knobs["train"])


def number_in_name(path: Any) -> int:
    """The number of COCO's image in the name of its file, as in 'COCO_val2014_000000391895.jpg'."""
    found = re.search(r"(\d+)$", PurePosixPath(str(path)).stem)
    if not found:
        raise UserError(f"found the file name {path!r}, expected one that ends in the image's number")
    return int(found[1])
