"""Text that flows into a column of a figure, each token with the look of its role; letters are of one width, so places can be counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Token = Sequence[str]  # piece, role


class Span(NamedTuple):
    """A stretch of one token in one line, from the letter `column` on."""

    column: int
    text: str
    role: str


def flow(tokens: Sequence[Token], width: int, most: int) -> list[list[Span]]:
    """Lines of at most `width` letters, broken between words, and within a word only if it is longer than a line.

    After `most` lines the text is cut, which an ellipsis shows.
    """
    lines: list[list[Span]] = [[]]
    for word in _words(tokens):
        column = _end(lines[-1])
        if column and column + 1 + sum(len(text) for text, _ in word) > width:
            lines.append([])
            column = 0
        elif column:
            column += 1
        for text, role in word:
            column = _put(lines, Span(column, text, role), width)
    if len(lines) > most:
        lines = lines[:most]
        while lines[-1] and _end(lines[-1]) + 2 > width:
            lines[-1].pop()
        lines[-1].append(Span(_end(lines[-1]) + 1, "\u2026", ""))
    return lines


def _put(lines: list[list[Span]], span: Span, width: int) -> int:
    """Add a span to the last line, and what does not fit to new ones; returns the column behind it."""
    column, text, role = span
    while text:
        if column >= width:
            lines.append([])
            column = 0
        part, text = text[: width - column], text[width - column :]
        lines[-1].append(Span(column, part, role))
        column += len(part)
    return column


def _words(tokens: Sequence[Token]) -> Iterator[list[tuple[str, str]]]:
    """Words in the (stretch, role) of the tokens that they are made of."""
    word: list[tuple[str, str]] = []
    for piece, role in tokens:
        for index, stretch in enumerate(re.split(r"\s+", piece)):
            if index and word:
                yield word
                word = []
            if stretch:
                word.append((stretch, role))
    if word:
        yield word


def _end(line: Sequence[Span]) -> int:
    return line[-1].column + len(line[-1].text) if line else 0
