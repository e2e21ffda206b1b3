"""The parts of a decode job: what an earlier run finished, from the same inputs, stands."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastvlm.provenance import code_digest
from fastvlm.rows import write_rows


class Units:
    """The files of a job's folder, each kept a second time, in `.finished`, under the digest of all that decides what is in it.

    The workflow removes a job's files before it runs it again; those in `.finished` it does not know. `weights` are the files of
    the model and of its networks: they are told apart by size and time of change, as reading them all would take minutes.
    """

    def __init__(self, folder: Path, knobs: dict[str, Any], weights: Sequence[Path]):
        self._folder, self._kept = folder, set()
        # What differs between the parts comes with each of them.
        shared = {name: value for name, value in knobs.items() if name != "max_new_tokens"}
        seen = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in weights]
        self._task = json.dumps([shared, seen, code_digest("fastvlm.decoding.run")], sort_keys=True)

    def write(self, manifest: Path, limit: int, rows: Iterable[dict[str, Any]]) -> None:
        """The file of a dataset, whole; `rows` are asked for only if no earlier run finished them."""
        digest = hashlib.sha256(self._task.encode() + str(limit).encode() + manifest.read_bytes()).hexdigest()
        finished, place = self._folder / ".finished" / f"{manifest.stem}-{digest[:16]}.jsonl", self._folder / f"{manifest.stem}.jsonl"
        self._kept.add(finished)
        if not finished.is_file():
            write_rows(finished, rows)
        place.unlink(missing_ok=True)
        os.link(finished, place)
        # Made now, for all that the workflow needs to know: its inputs may be younger than what they led to before.
        os.utime(place)

    def forget_others(self) -> None:
        """Remove what was finished from other inputs."""
        for path in set((self._folder / ".finished").iterdir()) - self._kept:
            path.unlink()
