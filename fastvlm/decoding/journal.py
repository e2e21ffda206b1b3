"""What a decode job has finished, example by example: killed and started again, on any machine, it goes on with the next one."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastvlm.errors import UserError
from fastvlm.rows import writing

Row = dict[str, Any]
Entry = dict[str, Any]


class Journal:
    """A file of lines, one an example: the CRC-32 of what follows, a space, and JSON: the `machine`'s record and all `rows` of the example.

    `finished` maps (split, example) to the entry, of this file and of its `neighbours`, which others may be writing. A last line that was
    cut off is dropped, with a word on stderr; raises `UserError` for a damaged line before it.
    """

    def __init__(self, path: Path, neighbours: Iterable[Path] = ()):
        self.path, self.finished = path, {}
        for other in neighbours:
            self._take(_read(other)[0])
        entries, whole = _read(path)
        self._take(entries)
        if path.is_file() and whole < path.stat().st_size:
            print(f"{path}: the last line was cut off and is dropped; its example is decoded again", file=sys.stderr, flush=True)
            with writing(path), path.open("r+b") as file:
                file.truncate(whole)

    def add(self, machine: dict[str, Any], rows: Sequence[Row]) -> None:
        """Note an example with all its rows. What is written here outlives this process."""
        entry = {"machine": machine, "rows": list(rows)}
        body = json.dumps(entry, ensure_ascii=False).encode()
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(b"%08x %b\n" % (zlib.crc32(body), body))
        self._take([entry])

    def _take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.finished[entry["rows"][0]["split"], entry["rows"][0]["example"]] = entry


def _read(path: Path) -> tuple[list[Entry], int]:
    """The entries of a journal, and how many bytes they take: fewer than the file where its last line is not whole."""
    if not path.is_file():
        return [], 0
    with path.open("rb") as file:
        lines = list(file)
    entries = [_parse(line) for line in lines]
    if None in entries[:-1]:
        raise UserError(f"{path}: line {entries.index(None) + 1} is damaged; delete the file, and what it holds is decoded again")
    cut = bool(entries) and entries[-1] is None
    return entries[: len(entries) - cut], sum(map(len, lines[: len(lines) - cut]))


def _parse(line: bytes) -> Entry | None:
    """None for a line that is not whole."""
    checksum, _, body = line.removesuffix(b"\n").partition(b" ")
    whole = line.endswith(b"\n") and checksum == b"%08x" % zlib.crc32(body)
    return json.loads(body) if whole else None
