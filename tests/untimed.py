"""What two runs with one seed must agree on: everything but the seconds, and what follows from them."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from fastvlm.rows import read_rows

TIMED = re.compile("seconds|speedup|per_second|verdict")
# Policies that are fitted weigh measured seconds: how much they draft follows time. What they say does not.
FITTED = ("confidence", "context", "goodput")


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def content(path: Path) -> Any:
    """A file's bytes; of rows and tables all but the timings."""
    if path.suffix not in (".jsonl", ".csv"):
        return path.read_bytes()
    rows = read_rows(path) if path.suffix == ".jsonl" else read_table(path)
    return [{key: value for key, value in row.items() if not TIMED.search(key)} for row in rows]


def untimed(path: Path) -> list[dict[str, str]]:
    """A table's rows but those of fitted policies, without the timings."""
    return [row for row in content(path) if row.get("policy") not in FITTED]
