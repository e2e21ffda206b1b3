"""The record that every data source yields, and the manifest that holds them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from fastvlm.data.pictures import open_image
from fastvlm.data.scenes import Scene, draw
from fastvlm.errors import UserError
from fastvlm.rows import read_rows, write_rows

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Dialogue:
    """What was said of a picture before an example's question, and the answers to rank, where the source gives any.

    `history` holds (question, answer) of the rounds before, as people said them. `right` is the place of the human answer in
    `candidates`; `relevance` gives each candidate's share of people who found it right, and is empty where nobody was asked.
    """

    caption: str
    history: tuple[tuple[str, str], ...] = ()
    candidates: tuple[str, ...] = ()
    right: int | None = None
    relevance: tuple[float, ...] = ()

    @staticmethod
    def from_dict(dialogue: dict[str, Any]) -> Dialogue:
        history = tuple((question, answer) for question, answer in dialogue["history"])
        lists = {name: tuple(dialogue[name]) for name in ("candidates", "relevance")}
        return Dialogue(**{**dialogue, "history": history, **lists})


@dataclass(frozen=True)
class Example:
    """One image with its task, prompt and references; a row of a manifest.

    `prompt` is what is asked; `prompts.prompt_text` says how each family is asked it. `references` are right answers as people
    give them: of a question for one word, those of ten people. `image` is a path, or empty where the picture is drawn from
    `scene`. `sha256` is that of the RGB pixels. `tags` are the groups by which scores are broken down: a domain, capabilities,
    a category. `answer` is the fact that a text must state to be right, where that is known; `context` is what a judge who
    does not see the picture is told of it.
    """

    id: str
    split: str
    task: str
    prompt: str
    references: tuple[str, ...]
    sha256: str
    image: str = ""
    scene: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    answer: str = ""
    context: str = ""
    dialogue: Dialogue | None = None

    @staticmethod
    def from_dict(row: dict[str, Any]) -> Example:
        """The inverse of `asdict`, from JSON."""
        dialogue = Dialogue.from_dict(row["dialogue"]) if row["dialogue"] else None
        return Example(**{**row, "references": tuple(row["references"]), "tags": tuple(row["tags"]), "dialogue": dialogue})

    def pixels(self) -> Image.Image:
        """The picture as RGB; raises `UserError` if it is not the one that the manifest was made from."""
        image = draw(Scene.from_dict(self.scene)) if self.scene else open_image(Path(self.image))
        if hash_pixels(image) != self.sha256:
            raise UserError(f"{self.image or self.id}: pixels differ from the manifest's SHA-256; run the data stage again")
        return image


def hash_pixels(image: Image.Image) -> str:
    """SHA-256 of the size and the RGB bytes, so that a re-encoded file of the same picture counts as the same."""
    return hashlib.sha256(f"{image.width}x{image.height}".encode() + image.tobytes()).hexdigest()


def write_manifest(path: Path, examples: Iterable[Example]) -> None:
    """Write one JSON line an example, whole or not at all."""
    write_rows(path, (asdict(example) for example in examples))


def read_manifest(path: Path, split: str) -> list[Example]:
    """The examples of one split, in the manifest's order; raises `UserError` if the manifest has none for test, which no dataset lacks."""
    # Of 33,000 rows those of train are most, and parsing them takes seconds of every decoding.
    rows = read_rows(path, holding=f'"split": "{split}"')
    examples = [Example.from_dict(row) for row in rows if row["split"] == split]
    if not examples and split == "test":
        raise UserError(f"{path}: no example in split '{split}'; expected at least one")
    return examples
