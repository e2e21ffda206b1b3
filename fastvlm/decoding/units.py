"""The parts of a decode job: what an earlier run finished, from the same inputs, stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastvlm.data.example import Example, read_manifest
from fastvlm.decoding.journal import Journal
from fastvlm.provenance import code_digest

# What differs between the parts comes with each of them, or says only who does which.
APART = ("max_new_tokens", "repeats", "choose_on", "shard", "shards")


class Units:
    """The journals of a method, one a dataset and shard, under the digest of all that decides what is in them.

    They lie where the workflow does not see them: it removes a job's files before it runs it again. Shards find each other's, so that
    another number of shards decodes nothing twice. `weights` are digests of the model's files and of its networks'.
    """

    def __init__(self, folder: Path, knobs: dict[str, Any], weights: Sequence[str]):
        self._folder, self._kept = folder, set()
        shared = {name: value for name, value in knobs.items() if name not in APART}
        self._task = json.dumps([shared, list(weights), code_digest("fastvlm.decoding.run")], sort_keys=True)

    def journal(self, manifest: Path, limit: int, repeats: int, shard: int, shards: int) -> Journal:
        """That of a shard of a dataset, with what all shards have finished."""
        digest = hashlib.sha256(self._task.encode() + f"{limit} {repeats} ".encode() + manifest.read_bytes()).hexdigest()
        pattern = f"{manifest.stem}-{digest[:16]}-*.journal"
        self._kept.add(pattern)
        own = self._folder / pattern.replace("*", f"{shard}-of-{shards}")
        return Journal(own, sorted(set(self._folder.glob(pattern)) - {own}))

    def forget_others(self) -> None:
        """Remove what was finished from other inputs."""
        for path in self._folder.glob("*.journal"):
            if not any(path.match(pattern) for pattern in self._kept):
                path.unlink(missing_ok=True)


def raced(manifest: Path, split: str, choose_on: int | None) -> Sequence[Example]:
    """Those that are decoded: of validation at most `choose_on`, spread evenly over the split, as rounds or categories take turns in it."""
    examples = read_manifest(manifest, split)
    if split != "validation" or choose_on is None or choose_on >= len(examples):
        return examples
    return [examples[number * len(examples) // choose_on] for number in range(choose_on)]


def of_shard(examples: Sequence[Example], shard: int, shards: int) -> list[tuple[int, Example]]:
    """The examples of a shard, each with its place among all; which are its own depends on their ids alone."""
    return [(place, example) for place, example in enumerate(examples) if shard_of(example.id, shards) == shard]


def shard_of(identity: str, shards: int) -> int:
    return int(hashlib.sha256(identity.encode()).hexdigest(), 16) % shards
