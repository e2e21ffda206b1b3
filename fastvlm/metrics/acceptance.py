"""Counts of drafted and accepted tokens; every rate is a view over these.

A decode row's `passes` holds [context, drafted, accepted] for each target pass: the tokens in the cache when drafting began, the
tokens drafted, and how many of them stood. Draft j (from 0) had `context + j` tokens before it, and stood if j < accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from fastvlm.errors import UserError
from fastvlm.metrics.runs import Row

MOST_BINS = 12  # of context; more are a blur in a panel


class Totals(NamedTuple):
    """Counts by example, four arrays of [examples]."""

    drafted: np.ndarray
    accepted: np.ndarray
    target_passes: np.ndarray
    committed: np.ndarray


class Drafts(NamedTuple):
    """Every drafted token of a setting, four arrays of [drafts]; `example` is the index of the row."""

    example: np.ndarray
    position: np.ndarray
    context: np.ndarray
    accepted: np.ndarray


def count(rows: Sequence[Row]) -> Totals:
    """Totals of each row; `committed` leaves out the first token, which comes from prefill.

    Raises `UserError` naming the example whose passes cannot have committed its tokens: each pass commits its accepted drafts
    and one token of its own, save where the text ends inside the drafts.
    """
    table = _passes(rows)
    totals = [np.bincount(table[:, 0], weights=weights, minlength=len(rows)).astype(np.int64) for weights in (table[:, 2], table[:, 3])]
    passes = np.bincount(table[:, 0], minlength=len(rows))
    committed = np.array([row["output_tokens"] - 1 for row in rows])
    wrong = np.flatnonzero((committed < totals[1]) | (committed > totals[1] + passes))
    if wrong.size:
        at = wrong[0]
        said = f"{committed[at]} tokens from {passes[at]} passes with {totals[1][at]} accepted"
        raise UserError(f"{rows[at]['method']}: example '{rows[at]['example']}': {said} cannot be; decode it again")
    return Totals(*totals, passes, committed)


def drafts(rows: Sequence[Row]) -> Drafts:
    """The drafted tokens of all rows, in order."""
    example, context, drafted, accepted = _passes(rows).T
    owner = np.repeat(np.arange(len(drafted)), drafted)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(drafted) - drafted, drafted)
    return Drafts(example[owner], position, context[owner] + position, position < accepted[owner])


def by_group(groups: np.ndarray, drafted: Drafts, examples: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Drafted and accepted tokens by example, each [examples], for each value in `groups` ([drafts]), ascending."""
    counts = {}
    for value in np.unique(groups):
        inside = groups == value
        of = drafted.example[inside]
        accepted = np.bincount(of[drafted.accepted[inside]], minlength=examples)
        counts[int(value)] = (np.bincount(of, minlength=examples), accepted)
    return counts


def accepted_lengths(rows: Sequence[Row]) -> dict[int, int]:
    """How many target passes accepted 0, 1, 2 ... drafts, without gaps."""
    return dict(enumerate(np.bincount(_passes(rows)[:, 3]).tolist()))


def by_context(rows: Sequence[Row], width: int) -> dict[int, tuple[int, int]]:
    """Target passes and drafted tokens by the bin of the context that the round began with, `width` tokens a bin, ascending."""
    table = _passes(rows)
    bins = table[:, 1] // width
    return {int(index): (int((bins == index).sum()), int(table[bins == index, 2].sum())) for index in np.unique(bins)}


def bin_width(settings: Iterable[Sequence[Row]], narrowest: int) -> int:
    """Tokens a bin: `narrowest`, doubled until no more than `MOST_BINS` lie between the shortest and the longest context of a draft."""
    contexts = [drafted.context for drafted in map(drafts, settings) if drafted.context.size]
    low, high = (min(map(np.min, contexts)), max(map(np.max, contexts))) if contexts else (0, 0)
    width = narrowest
    while high // width - low // width >= MOST_BINS:
        width *= 2
    return width


def _passes(rows: Sequence[Row]) -> np.ndarray:
    """[passes, 4]: index of the row, context, drafted, accepted."""
    table = np.array([(index, *triple) for index, row in enumerate(rows) for triple in row["passes"]], dtype=np.int64).reshape(-1, 4)
    wrong = np.flatnonzero((table[:, 3] < 0) | (table[:, 3] > table[:, 2]))
    if wrong.size:
        row = rows[table[wrong[0], 0]]
        raise UserError(f"{row['method']}: example '{row['example']}': a pass accepted more than was drafted; decode it again")
    return table
