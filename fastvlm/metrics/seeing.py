"""Does the text speak of the picture? Every attribute that it names is looked up in the scene."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastvlm.data.scenes import BACKGROUNDS, COLOURS, PLACES, SHAPES, Scene
from fastvlm.data.wording import SIZE_WORDS

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
    waiting = ""
    for sentence in text.lower().split("."):
        waiting = ""
        for clause in CLAUSE.split(sentence):
            clause = re.sub(r"to the right of", "beside", clause)
            place = PLACE.search(clause)
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


def _fits(mention: Mention, thing) -> bool:
    same = (mention.size, mention.colour, mention.shape) == (thing.size, thing.colour, thing.shape)
    return same and mention.place in ("", thing.place)
