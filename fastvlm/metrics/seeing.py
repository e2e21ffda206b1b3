"""Does the text speak of the picture? Every attribute that it names is looked up in the scene."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fastvlm.data.example import read_manifest
from fastvlm.data.scenes import BACKGROUNDS, COLOURS, PLACES, SHAPES, Scene, Thing
from fastvlm.data.wording import SIZE_WORDS
from fastvlm.rows import read_rows, whole_file

COLUMNS = ("experiment", "model", "dataset", "examples", "texts_all_right", "things", "mentions", "mentions_right")

SIZES = {word: size for size, words in SIZE_WORDS.items() for word in words}
CLAUSE = re.compile(r"[.,;]| and | while ")
NOUN = re.compile(rf"\ba ({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})\b")
# Longest first, so that 'top left' is not read as 'top'.
PLACE = re.compile(rf"\b({'|'.join(sorted((*PLACES, 'middle'), key=len, reverse=True))})\b")
BACKGROUND = re.compile(rf"\b({'|'.join(BACKGROUNDS)})\b")


@dataclass(frozen=True)
class Mention:
    """A thing as a text names it; `place` is empty where the text gives none."""

    size: str
    colour: str
    shape: str
    place: str


def mentions(text: str) -> list[Mention]:
    """The things that a caption or description names, each with its place, in order.

    A place counts for the noun of its clause; one that stands in a clause of its own counts for the next noun, as in
    'At the top, to the right of the red star, is a small blue circle'.
    """
    found: list[Mention] = []
    for sentence in text.lower().split("."):
        waiting = ""
        for clause in CLAUSE.split(sentence):
            place = PLACE.search(clause.replace("to the right of", "beside"))
            named = place[1].replace("middle", "centre") if place else ""
            noun = NOUN.search(clause)
            if noun:
                found.append(Mention(SIZES[noun[1]], noun[2], noun[3], named or waiting))
            waiting = "" if noun else (named or waiting)
    return found


def right_mentions(text: str, scene: Scene) -> tuple[int, int]:
    """(mentions that fit a thing of the scene in every attribute named, all mentions)."""
    named = mentions(text)
    return sum(any(_fits(mention, thing) for thing in scene.things) for mention in named), len(named)


def all_right(text: str, scene: Scene) -> bool:
    """At least one thing is named, and every attribute of every thing named, and the background, is the scene's."""
    right, named = right_mentions(text, scene)
    background = BACKGROUND.search(text.lower())
    return named > 0 and right == named and (not background or background[1] == scene.background)


def write_seeing(rows: list[Path], manifests: list[Path], output: Path) -> None:
    """`seeing.csv` from plain decoding's rows of the test split; data sets without scenes have no line."""
    scenes = {manifest.stem: _scenes(manifest) for manifest in manifests}
    lines = [line for path in rows if (line := _seeing(read_rows(path), scenes))]
    with whole_file(output) as partial:
        pd.DataFrame(lines, columns=COLUMNS).to_csv(partial, index=False)


def _scenes(manifest: Path) -> dict[str, Scene]:
    return {example.id: Scene.from_dict(example.scene) for example in read_manifest(manifest, "test") if example.scene}


def _seeing(rows: list[dict[str, Any]], scenes: dict[str, dict[str, Scene]]) -> dict[str, Any] | None:
    """One line of counts for one model on one data set."""
    drawn = scenes[rows[0]["dataset"]]
    if not drawn:
        return None
    seen = [(row["text"], drawn[row["example"]]) for row in rows]
    counts = [right_mentions(text, scene) for text, scene in seen]
    return {
        **{key: rows[0][key] for key in COLUMNS[:3]},
        "examples": len(seen),
        "texts_all_right": sum(all_right(text, scene) for text, scene in seen),
        "things": sum(len(scene.things) for _, scene in seen),
        "mentions": sum(named for _, named in counts),
        "mentions_right": sum(right for right, _ in counts),
    }


def _fits(mention: Mention, thing: Thing) -> bool:
    same = (mention.size, mention.colour, mention.shape) == (thing.size, thing.colour, thing.shape)
    return same and mention.place in ("", thing.place)
