"""Decoding loops that can be left after each round, so that several can take turns."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import wraps
from typing import ParamSpec

from fastvlm.decoding.trace import Trace

# A text that is being decoded: after each round the number of tokens so far, in the end what was done.
Rounds = Generator[int, None, Trace]
Told = ParamSpec("Told")


def advance(rounds: Rounds) -> int | Trace:
    """One round more: the number of tokens so far, or what was done where the text had ended."""
    try:
        return next(rounds)
    except StopIteration as end:
        return end.value


def finish(rounds: Rounds) -> Trace:
    """All that are left."""
    while not isinstance(done := advance(rounds), Trace):
        pass
    return done


def whole(loop: Callable[Told, Rounds]) -> Callable[Told, Trace]:
    """A loop as one call that decodes the text to its end."""

    @wraps(loop)
    def decode(*told: Told.args, **named: Told.kwargs) -> Trace:
        return finish(loop(*told, **named))

    return decode


def in_one(decode: Callable[Told, Trace]) -> Callable[Told, Rounds]:
    """What cannot be left before its end, as a loop of no rounds."""

    @wraps(decode)
    def loop(*told: Told.args, **named: Told.kwargs) -> Rounds:
        return decode(*told, **named)
        yield  # makes it a generator

    return loop
