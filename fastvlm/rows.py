"""Files that are whole or not there: every result is written beside its place and then moved into it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fastvlm.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk, and a folder that may not be written to, into a `UserError` that names `path`."""
    try:
        yield
    except Exception as error:
        number = getattr(error, "errno", None)
        if any(map(_tells_of_full_disk, _behind(error))):
            said = "the disk is full; make room and start again, what is finished stands"
        elif number in CLOSED and _belongs(error, path):
            said = f"cannot be written ({os.strerror(number).lower()}); expected a folder that takes files"
        else:
            raise
        raise UserError(f"{path}: {said}") from None


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those in whose handling it arose: of a file that takes no more, torch's writer says that a position is unexpected."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


def _tells_of_full_disk(error: BaseException) -> bool:
    """safetensors' own kind of error has the number in its text only."""
    return getattr(error, "errno", None) in FULL or f"os error {errno.ENOSPC}" in str(error)


def _belongs(error: OSError, path: Path) -> bool:
    """Whether it is about `path`, a temporary file beside it or a folder above it, not about something that was read meanwhile."""
    return error.filename is None or Path(error.filename).parent in path.parents


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes `path`'s name, on any error it is removed.

    Raises `UserError` where the disk is full or the folder may not be written to.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            yield partial
            take_place(partial, path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def take_place(file: Path, path: Path) -> None:
    """Give `file` the name `path`: its bytes are on the disk before its name is, and its name when this returns."""
    _flush(file)
    file.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines; a generator that fails leaves no file."""
    with whole_file(path) as partial, partial.open("w") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_rows(path: Path, *, holding: str = "") -> list[dict[str, Any]]:
    """The rows whose lines hold this text; the others are not parsed."""
    # Not `splitlines`, to which U+2028 and its like in a text end a line too.
    with path.open() as lines:
        return [json.loads(line) for line in lines if holding in line]
