"""A dataset of the configuration as a manifest: the rows that every stage reads, in one order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from fastvlm.data import scene_tasks
from fastvlm.data.benchmarks import read_examples
from fastvlm.data.example import SPLITS, Example, write_manifest
from fastvlm.progress import progress


def build_manifest(name: str, knobs: dict[str, Any], seed: int, output: Path) -> None:
    """Write the manifest of the dataset `name`; `knobs` are its entry in the configuration.

    Raises `UserError` for a `files` dataset that is not as expected.
    """
    read = _scene_examples if knobs["source"] == "scenes" else partial(read_examples, manifest=output)
    write_manifest(output, read(name, knobs, seed))


def _scene_examples(name: str, knobs: dict[str, Any], seed: int) -> Iterator[Example]:
    for split in SPLITS:
        examples = islice(scene_tasks.examples(name, knobs["task"], split, seed), knobs[split])
        yield from progress(examples, f"{name} {split}", knobs[split])
