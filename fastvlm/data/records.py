"""Files of JSON and JSON lines, and their fields: what is not as expected is named with its place."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fastvlm.errors import UserError

Value = TypeVar("Value")
KINDS = {str: "text", int: "a number", int | str: "a number or text", list: "a list", dict: "a record"}
MISSING = object()


def read_json(path: Path, expected: str) -> Any:
    """The content of a JSON file; `expected` says what file it should be. Raises `UserError` naming the path."""
    return _parse(path, _read(path, expected), expected)


def read_json_lines(path: Path, expected: str) -> list[tuple[str, Any]]:
    """(where it is, record) of each line that is not blank. Raises `UserError` naming path and line."""
    lines = [(f"{path}: line {number}", line) for number, line in enumerate(_read(path, expected).split("\n"), 1) if line.strip()]
    return [(where, _parse(where, line, expected)) for where, line in lines]


def field(where: str, record: Any, key: str, kind: Any) -> Any:
    """`record[key]`, which must be of `kind`, a key of `KINDS`."""
    if not isinstance(record, dict):
        raise UserError(f"{where}: found {type(record).__name__}, expected a record with the key '{key}'")
    value = record.get(key, MISSING)
    if not isinstance(value, kind) or isinstance(value, bool):
        found = "missing" if value is MISSING else f"found {type(value).__name__}"
        raise UserError(f"{where}.{key}: {found}, expected {KINDS[kind]}")
    return value


def text(where: str, record: Any, key: str) -> str:
    """A text as it was published; refused where nothing is in it."""
    value = field(where, record, key, str)
    if not value.strip():
        raise UserError(f"{where}.{key}: empty, expected text")
    return value


def unique(where: str, pairs: Iterable[tuple[Hashable, Value]]) -> dict[Any, Value]:
    """The pairs as a mapping; raises `UserError` if an id occurs twice."""
    mapping: dict[Any, Value] = {}
    for identity, value in pairs:
        if identity in mapping:
            raise UserError(f"{where}: id {identity!r} occurs twice, expected each id once")
        mapping[identity] = value
    return mapping


def find(where: str, mapping: Mapping[Any, Value], key: Any, needed_by: str) -> Value:
    """`mapping[key]`; raises `UserError` naming who needs it."""
    if key not in mapping:
        raise UserError(f"{where}: nothing for {key!r}, which {needed_by} names; expected one record for each")
    return mapping[key]


def _read(path: Path, expected: str) -> str:
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected {expected}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); expected {expected}") from None


def _parse(where: object, content: str, expected: str) -> Any:
    def record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """JSON itself lets a later record of the same key take the place of an earlier one."""
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
            raise UserError(f"{where}: key {twice!r} occurs twice in one record, expected each key once")
        return found

    try:
        return json.loads(content, object_pairs_hook=record)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error}); expected {expected}") from None
