"""Which line of a table a method is shown with: the exit layer, policy and draft length that validation chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastvlm.errors import UserError
from fastvlm.methods import TUNED
from fastvlm.table_file import Record, read_table

CHOICE = ("model", "dataset", "method", "policy", "exit_layer", "draft_length")


def read_selection(path: Path) -> list[Record]:
    """The best setting of each method, of those in `selection.csv`; raises `UserError` if it is absent or of another shape."""
    return [record for record in read_policies(path) if record["best"]]


def read_policies(path: Path) -> list[Record]:
    """The records of `selection.csv`: the best setting of each policy of a method."""
    return read_table(path, *CHOICE, "decode_speedup", "examples", "best")


def choice(record: Record) -> tuple:
    """What identifies a setting within an experiment."""
    return tuple(record[column] for column in CHOICE)


def keep_selected(records: Sequence[Record], selection: Sequence[Record], *, all_of: bool = True) -> list[Record]:
    """The records of the selected settings, and those of methods that have one setting only.

    Raises `UserError` where a method with several has no selected one, or the selected one has no record, unless `all_of` is false: of
    what is drafted there is no record where a policy drafts nothing.
    """
    chosen = {choice(record) for record in selection}
    kept = [record for record in records if record["method"] not in TUNED or choice(record) in chosen]
    absent = {choice(record)[:3] for record in records} - {choice(record)[:3] for record in kept}
    if absent and all_of:
        raise UserError(f"selection.csv: no line fits {'/'.join(min(absent))}; run the select stage again")
    return kept
