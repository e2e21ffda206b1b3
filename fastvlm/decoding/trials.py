"""Sets of sublayers that a drafter may do without, each measured once: what a killed search has measured, the next one does not again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from fastvlm.rows import write_rows

KINDS = ("attention", "feed_forward")  # a layer's sublayers, in the order in which it runs them


class Skipped(NamedTuple):
    """Layers by the sublayer that is skipped."""

    attention: tuple[int, ...]
    feed_forward: tuple[int, ...]

    @staticmethod
    def of(sublayers: Collection[int]) -> Skipped:
        """Of sublayers numbered through the decoder: layer i's attention is 2i, its feed-forward 2i + 1."""
        chosen = sorted(sublayers)
        return Skipped(*(tuple(place // 2 for place in chosen if place % 2 == kind) for kind in range(len(KINDS))))

    def share_run(self, layers: int) -> float:
        """Share of the sublayers of so many layers that are left, 0..1."""
        return 1 - sum(map(len, self)) / (len(KINDS) * layers)


class Outcome(NamedTuple):
    """`agreement`: share of tokens that the drafter says as the full model does; `speedup` is that of `expected_speedup`."""

    agreement: float
    speedup: float


class Trials:
    """Asks `measure` for the outcome of a set of sublayers, once; a journal at `path` holds what is known of this `task`."""

    def __init__(self, path: Path, task: str, measure: Callable[[Skipped], Outcome]):
        self._path, self._measure = path, measure
        self._known: dict[Skipped, Outcome] = {}
        lines = _whole_lines(path)
        if lines[:1] == [{"task": task}]:
            self._known = {Skipped(*map(tuple, line["skipped"])): Outcome(*line["outcome"]) for line in lines[1:]}
        else:
            lines = [{"task": task}]
        write_rows(path, lines)  # without a last line that was cut off

    def outcome(self, skipped: Skipped) -> Outcome:
        if skipped not in self._known:
            self._known[skipped] = self._measure(skipped)
            with self._path.open("a") as journal:
                journal.write(json.dumps({"skipped": skipped, "outcome": self._known[skipped]}) + "\n")
        return self._known[skipped]

    def clear(self) -> None:
        """Forget the journal: the search is done."""
        shutil.rmtree(self._path.parent, ignore_errors=True)


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
