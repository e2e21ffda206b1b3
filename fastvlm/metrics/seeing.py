"""Does the text speak of the picture? Every attribute that it names is looked up in the scene."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fastvlm.data.example import Example, read_manifest
from fastvlm.data.scenes import BACKGROUNDS, COLOURS, PLACES, SHAPES, Scene, Thing
from fastvlm.data.wording import SIZE_WORDS
from fastvlm.metrics.facts import states
from fastvlm.metrics.runs import read_runs
from fastvlm.table_file import Record, write_table

COUNTS = ("texts_all_right", "things", "mentions", "mentions_right", "answers", "answers_right")
COLUMNS = ("experiment", "model", "dataset", "examples", *COUNTS)
# The tasks whose texts are to name what is drawn.
NAMING = ("caption", "description")

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


def count(texts: Iterable[tuple[str, str]], examples: Mapping[str, Example]) -> Record:
    """`COUNTS` of (example, text) pairs about drawn scenes: mentions of texts that are to name what is drawn, answers of those that are
    to state a fact; what does not apply is absent."""
    told = [(text, examples[key]) for key, text in texts]
    return _mentioned(told) | _answered(told)


def write_seeing(rows: list[Path], manifests: list[Path], output: Path) -> None:
    """`seeing.csv` from plain decoding's rows of the test split, a line a model and dataset; datasets without scenes have none."""
    scenes = {
        manifest.stem: {example.id: example for example in read_manifest(manifest, "test") if example.scene} for manifest in manifests
    }
    lines = []
    for setting, of in read_runs(rows, "test").items():
        if scenes[setting.dataset]:
            key = {"experiment": setting.experiment, "model": setting.model, "dataset": setting.dataset, "examples": len(of)}
            lines.append(key | count(((row["example"], row["text"]) for row in of), scenes[setting.dataset]))
    write_table(output, COLUMNS, lines)


def _mentioned(told: list[tuple[str, Example]]) -> Record:
    if not any(example.task in NAMING for _, example in told):
        return {}
    seen = [(text, Scene.from_dict(example.scene)) for text, example in told if example.scene]
    counts = [right_mentions(text, scene) for text, scene in seen]
    return {
        "texts_all_right": sum(all_right(text, scene) for text, scene in seen),
        "things": sum(len(scene.things) for _, scene in seen),
        "mentions": sum(named for _, named in counts),
        "mentions_right": sum(right for right, _ in counts),
    }


def _answered(told: list[tuple[str, Example]]) -> Record:
    known = [(text, example.answer) for text, example in told if example.answer]
    return {"answers": len(known), "answers_right": sum(states(text, answer) for text, answer in known)} if known else {}


def _fits(mention: Mention, thing: Thing) -> bool:
    same = (mention.size, mention.colour, mention.shape) == (thing.size, thing.colour, thing.shape)
    return same and mention.place in ("", thing.place)
