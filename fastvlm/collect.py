"""The same table of several models as one table."""

from __future__ import annotations

import csv
from pathlib import Path

from fastvlm.errors import UserError
from fastvlm.table_file import write_table


def collect(experiment: str, tables: dict[str, Path], output: Path) -> None:
    """Write the rows of `tables` (model -> file) below each other, led by the columns `experiment` and `model`.

    Raises `UserError` if the files' columns differ.
    """
    records, columns = [], None
    for model, path in tables.items():
        with path.open(newline="") as handle:
            reader = csv.DictReader(handle)
            columns = columns or reader.fieldnames
            if reader.fieldnames != columns:
                raise UserError(f"{path}: found the columns {reader.fieldnames}, expected {columns}")
            records += [{**row, "experiment": experiment, "model": model} for row in reader]
    own = [column for column in columns or () if column not in ("experiment", "model")]
    write_table(output, ("experiment", "model", *own), records)
