"""A table on disk: CSV in long form, key columns first, floats in six significant digits, empty where a value does not apply."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastvlm.errors import UserError
from fastvlm.rows import write_text

KEY_COLUMNS = ("experiment", "model", "dataset", "method", "policy", "exit_layer", "draft_length", "examples")
TEXT_COLUMNS = {"experiment", "model", "dataset", "method", "policy", "stage", "dtype", "task", "tag", "verdict", "claim", "chosen_on"}
TEXT_COLUMNS |= {"chance_metric", "against_chance", "factor", "value", "network", "statistic"}
TEXT_COLUMNS |= {"over", "paired_verdict", "unpaired_verdict"}
TEXT_COLUMNS |= {"change_metric", "machine"}
TEXT_COLUMNS |= {"rule", "wording", "judge", "date", "note", "metric", "protocol_theirs", "protocol_ours", "source"}
TEXT_COLUMNS |= {"attention", "feed_forward"}  # lists of layers

Record = dict[str, Any]


def write_table(path: Path, columns: Sequence[str], records: Iterable[Record]) -> None:
    """Write the records in their order; `None` and a column that a record lacks become an empty cell.

    A record with a column that the table does not have is a `ValueError`, as is a column that is named twice: nothing is dropped in
    silence.
    """
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path}: a column is named twice in {', '.join(columns)}")
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: _cell(value) for column, value in record.items()} for record in records)
    write_text(path, buffer.getvalue())


def read_table(path: Path, *columns: str) -> list[Record]:
    """The records of a table, numbers as `int` or `float`, empty cells as `None` (as `""` in text columns).

    Raises `UserError` naming the file where it is absent, lacks one of `columns`, has a ragged line or a cell that is no number.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such table; run the stage that writes it first")
    with path.open(newline="") as handle:
        reader = csv.DictReader(handle)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{path}: column '{missing[0]}' is missing; found {', '.join(reader.fieldnames or ('nothing',))}")
        return [_record(path, number, row) for number, row in enumerate(reader, start=2)]


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _record(path: Path, number: int, row: dict[str, str]) -> Record:
    if None in row or None in row.values():
        raise UserError(f"{path}: line {number} has another number of cells than the header")
    try:
        return {column: text if column in TEXT_COLUMNS else _number(text) for column, text in row.items()}
    except ValueError as error:
        raise UserError(f"{path}: line {number}: {error}; expected a number or an empty cell") from None


def _number(text: str) -> int | float | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)
