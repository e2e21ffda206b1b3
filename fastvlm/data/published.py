"""What a benchmark publishes, as every loader hands it on: which rows there are, and their pictures and examples once they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastvlm.data.example import Example
from fastvlm.errors import UserError

Identity = int | str


@dataclass(frozen=True)
class Row:
    """A picture and the examples about it, which lack split, picture and hash as yet: one, or one a round of a dialogue."""

    image: Path
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Published:
    """A benchmark as one source gives it.

    `where` is what errors call it. `splits` gives every row's split, `rows` those rows that are asked for, by id. `origin` says
    where they are from, for `<manifest>.source.json`.
    """

    where: str
    splits: dict[Any, str]
    rows: Callable[[list[Any]], Mapping[Any, Row]]
    origin: dict[str, Any]


def draft(name: str, identity: Identity, task: str, prompt: str, references: Iterable[str], **more: Any) -> Example:
    """An example that its split, picture and hash are to be added to; `name` is the dataset's."""
    return Example(f"{name}-{identity}", "", task, prompt, tuple(references), "", **more)


def references(where: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Texts as they were published; raises `UserError` if there is none, or an empty one."""
    texts = tuple(texts)
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise UserError(f"{where}: {'an empty reference' if texts else 'no reference'}; expected one or more texts")
    return texts


def check_pictures(where: str, pictures: Mapping[Any, Path]) -> None:
    """Raise a `UserError` that counts those of a row's pictures that are no files."""
    missing = [path for path in pictures.values() if not path.is_file()]
    if missing:
        raise UserError(
            f"{missing[0]}: no such file; {where} names {len(pictures)} images that are needed, and {len(missing)} of them are not there"
        )


def from_files(
    where: str, splits: dict[Any, str], image: Callable[[Any], Path], examples: Callable[[Any], tuple[Example, ...]], files: Iterable[Path]
) -> Published:
    """A benchmark whose images lie on disk; `image` and `examples` are those of an id, `files` what was read."""

    def rows(chosen: list[Any]) -> dict[Any, Row]:
        check_pictures(where, {identity: image(identity) for identity in chosen})
        return {identity: Row(image(identity), examples(identity)) for identity in chosen}

    return Published(where, splits, rows, {"source": "files", "files": [str(file) for file in files], "rows": len(splits)})
