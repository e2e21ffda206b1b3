"""The same table of several models as one table."""

from __future__ import annotations

from pathlib import Path

from fastvlm.errors import UserError
from fastvlm.table_file import Record, read_table, write_table

KEYS = ("experiment", "model")


def collect(experiment: str, tables: dict[str, Path], output: Path) -> None:
    """Write the rows of `tables` (model -> file) below each other, led by the columns `experiment` and `model`.

    Raises `UserError` if the files' columns differ.
    """
    records: list[Record] = []
    for model, path in tables.items():
        rows = read_table(path)
        records += [{**row, "experiment": experiment, "model": model} for row in rows]
        if rows and _own(rows[0]) != _own(records[0]):
            raise UserError(f"{path}: found the columns {_own(rows[0])}, expected {_own(records[0])}")
    write_table(output, (*KEYS, *_own(records[0] if records else {})), records)


def _own(record: Record) -> list[str]:
    """The columns that are not the keys'."""
    return [name for name in record if name not in KEYS]
