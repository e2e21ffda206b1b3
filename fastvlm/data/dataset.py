"""A dataset of the configuration as a manifest: the rows that every stage reads, in one order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fastvlm.data.coco import read_examples
from fastvlm.data.example import SPLITS, Example, hash_pixels, write_manifest
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.scenes import draw, sample_scenes
from fastvlm.data.wording import caption, description
from fastvlm.progress import progress

REFERENCES = 5
WORDINGS = {"caption": (caption, (1, 2)), "description": (description, (3, 4, 5))}  # task: (wording, things in a scene)


def build_manifest(name: str, knobs: dict[str, Any], seed: int, output: Path) -> None:
    """Write the manifest of the dataset `name`; `knobs` are its entry in the configuration.

    Raises `UserError` for a `files` dataset that is not as expected.
    """
    read = {"scenes": _scene_examples, "files": read_examples}[knobs["source"]]
    write_manifest(output, read(name, knobs, seed))


def _scene_examples(name: str, knobs: dict[str, Any], seed: int) -> Iterator[Example]:
    for split in SPLITS:
        examples = islice(_scenes_of_split(name, split, knobs["task"], seed), knobs[split])
        yield from progress(examples, f"{name} {split}", knobs[split])


def _scenes_of_split(name: str, split: str, task: str, seed: int) -> Iterator[Example]:
    """Endless examples of a split; the seed names the split, so that its size changes no other split."""
    wording, counts = WORDINGS[task]
    rng = random.Random(f"{seed}-{name}-{split}")
    for number, scene in enumerate(sample_scenes(split, counts, rng)):
        references = tuple(wording(scene, rng) for _ in range(REFERENCES))
        identity = f"{name}-{split}-{number:06d}"
        digest = hash_pixels(draw(scene))
        yield Example(identity, split, task, TASK_PROMPTS[task], references, digest, scene=scene.to_dict())
