"""How far a stage is: a bar on a terminal, and now and then a plain line in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0


class Transfer(tqdm):
    """The bar of a download, made by the hub's client: on a terminal tqdm's own, elsewhere a plain line every ten seconds."""

    def __init__(self, *arguments: Any, **options: Any):
        plain = {"file": _PlainLines(), "mininterval": SECONDS_BETWEEN_LINES, "delay": SECONDS_BETWEEN_LINES, "ncols": 0}
        super().__init__(*arguments, **options, **({} if sys.stderr.isatty() else plain))


class _PlainLines:
    """A file for tqdm, which writes each state over the last: here each is a line of its own."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def progress(iterable: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items and report on stderr: done, rate per second and time that remains. `total` defaults to the iterable's length."""
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if sys.stderr.isatty():
        yield from tqdm(iterable, description, total)
    else:
        yield from _with_lines(iterable, description, total)


def _with_lines(iterable: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    """A line every ten seconds, and one at the end, so that a log stays short."""
    start = said = time.monotonic()
    done = 0
    for item in iterable:
        yield item
        done += 1
        now = time.monotonic()
        if now - said >= SECONDS_BETWEEN_LINES and done != total:
            said = now
            _say(description, done, total, now - start)
    _say(description, done, total, time.monotonic() - start)


def _say(description: str, done: int, total: int | None, seconds: float) -> None:
    print(tqdm.format_meter(done, total, seconds, ncols=0, prefix=description), file=sys.stderr, flush=True)
