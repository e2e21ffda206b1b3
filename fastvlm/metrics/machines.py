"""Rows of several machines: a row's seconds are all of one, sums over rows may not be, and where they are not it is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastvlm.errors import UserError
from fastvlm.metrics.runs import Row, Runs
from fastvlm.provenance import read_machines


def machines_of(runs: Runs, folders: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """id -> record of the machines of the rows, that of most rows first; `folders` hold the records.

    Raises `UserError` for a row whose machine has no record.
    """
    known, counts = read_machines(folders), Counter(row["machine"] for rows in runs.values() for row in rows)
    if unknown := counts.keys() - known.keys():
        raise UserError(f"machine '{min(unknown)}' of the decode rows has no record; run the decode stage again")
    return {name: known[name] for name, _ in counts.most_common()}


def split(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows by machine where there are several; nothing where they are of one."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["machine"], []).append(row)
    return dict(sorted(found.items())) if len(found) > 1 else {}


def warnings(machines: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a reader of the tables must know, in a line; nothing where there is one machine."""
    if len(machines) < 2:
        return []
    named = "; ".join(f"{name} ({record['cpu']}, {record['accelerator']})" for name, record in machines.items())
    return [
        f"warning: the rows come from {len(machines)} machines: {named}. Each row compares seconds of one machine; "
        "tables sum over all of them, speedup_by_machine.csv does not."
    ]
