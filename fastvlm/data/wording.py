"""What is said of a scene: one-sentence captions and descriptions of 40 to 80 words, in varied wording.

Each choice of words has a favourite that depends on what is drawn. A background has its narrator, who keeps to a frame
for sentences, to a word for a size and to a way of naming places; a shape has its verb, a colour its order of words.
So the likeliest text differs from picture to picture, and a reader who sees only the last few words cannot guess the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fastvlm.data.scenes import BACKGROUNDS, COLOURS, PLACES, SHAPES, Scene, Sign, Thing

FAVOUR = 0.7  # how often the favourite wording is taken
SIZE_WORDS = {"large": ("large", "big"), "small": ("small", "little")}
VERBS = ("is", "sits", "lies", "rests", "stands")
CORNER_PHRASES = ("in the {} corner", "at the {}")
SIDE_PHRASES = {
    "top": ("at the top", "near the top edge"), "bottom": ("at the bottom", "near the bottom edge"),
    "left": ("on the left", "near the left edge"), "right": ("on the right", "near the right edge"),
    "centre": ("in the centre", "in the middle"),
}  # fmt: skip
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CAPTION_FRAMES = (
    "{a} {verb_a} {place_a}{and_b} on a {background} background.",
    "there {be} {a} {place_a}{and_b}, all on {background}.",
    "on a {background} background, {a} {verb_a} {place_a}{while_b}.",
    "a {background} picture with {a} {place_a}{and_b}.",
    "{place_a} of a {background} picture {verb_a} {a}{and_b}.",
)
OPENINGS = (
    "the picture shows {number} shapes on a {background} background.",
    "{number} shapes are drawn on a {background} background.",
    "this is a {background} picture with {number} shapes in it.",
)
CLOSINGS = (
    "in all, {large} of them {are_large} large and {small} {are_small} small.",
    "so {large} {are_large} large and {small} {are_small} small.",
    "there {are_large} {large} large and {small} small among them.",
)


def caption(scene: Scene, rng: random.Random) -> str:
    """One sentence that names every thing of a scene of one or two, the background, and the sign if there is one."""
    narrator = narrator_of(scene)
    frame = choose(CAPTION_FRAMES, narrator, rng)
    first = {"a": noun_phrase(scene.things[0], narrator, rng), "verb_a": _verb(scene.things[0], rng)}
    place = place_phrase(scene.things[0], narrator, rng)
    rest = {"and_b": "", "while_b": "", "be": "is", "background": scene.background}
    for thing in scene.things[1:]:
        noun, where = noun_phrase(thing, narrator, rng), place_phrase(thing, narrator, rng)
        rest |= {"and_b": f" and {noun} {where}", "while_b": f" while {noun} {_verb(thing, rng)} {where}", "be": "are"}
    sign = f", and {scene.sign.text} is written {place_phrase(scene.sign, narrator, rng)}." if scene.sign else "."
    return _sentence(frame.format(**first, place_a=place, **rest).removesuffix(".") + sign)


def description(scene: Scene, rng: random.Random) -> str:
    """An opening with the count, a sentence for each thing, and a closing count by size: 40 to 80 words."""
    return long_enough(lambda: [_opening(scene, rng), *_thing_sentences(scene, rng), _closing(scene, rng)])


def long_enough(tell: Callable[[], list[str]]) -> str:
    """The sentences of the first telling of 40 to 80 words."""
    while True:
        text = " ".join(_sentence(sentence) for sentence in tell())
        if 40 <= len(text.split()) <= 80:
            return text


def _opening(scene: Scene, rng: random.Random) -> str:
    frame = choose(OPENINGS, narrator_of(scene), rng)
    return frame.format(number=NUMBERS[len(scene.things)], background=scene.background)


def _thing_sentences(scene: Scene, rng: random.Random) -> list[str]:
    narrator, first = narrator_of(scene), scene.things[0]
    sentences = [f"{noun_phrase(first, narrator, rng)} {_verb(first, rng)} {place_phrase(first, narrator, rng)}."]
    for before, thing in zip(scene.things, scene.things[1:], strict=False):
        noun, verb, place = noun_phrase(thing, narrator, rng), _verb(thing, rng), place_phrase(thing, narrator, rng)
        relation = f"{relate(thing, before)} the {before.colour} {before.shape}"
        frames = (f"{noun} {verb} {place}, {relation}.", f"{place}, {relation}, {verb} {noun}.", f"{noun} {verb} {place}.")
        sentences.append(choose(frames, COLOUR_RANK[thing.colour], rng))
    return sentences


def _closing(scene: Scene, rng: random.Random) -> str:
    large = sum(thing.size == "large" for thing in scene.things)
    small = len(scene.things) - large
    words = {"large": NUMBERS[large], "small": NUMBERS[small], "are_large": _be(large), "are_small": _be(small)}
    return choose(CLOSINGS, len(scene.things), rng).format(**words)


def noun_phrase(thing: Thing, narrator: int, rng: random.Random) -> str:
    """For example 'a large red circle'."""
    size = choose(SIZE_WORDS[thing.size], narrator, rng)
    return f"a {size} {thing.colour} {thing.shape}"


def place_phrase(thing: Thing | Sign, narrator: int, rng: random.Random) -> str:
    """For example 'in the top left corner'."""
    rank = narrator // 2
    if " " in thing.place:
        return choose(CORNER_PHRASES, rank, rng).format(thing.place)
    return choose(SIDE_PHRASES[thing.place], rank, rng)


def relate(thing: Thing, before: Thing) -> str:
    """Where `thing` is as seen from a thing that stands earlier in reading order."""
    return "to the right of" if thing.cell[0] == before.cell[0] else "below"


COLOUR_RANK = {colour: rank for rank, colour in enumerate(COLOURS)}


def _verb(thing: Thing, rng: random.Random) -> str:
    return choose(VERBS, SHAPES.index(thing.shape) + PLACES.index(thing.place) // 3, rng)


def narrator_of(scene: Scene) -> int:
    """Whose habits of speech a scene's texts follow."""
    return tuple(BACKGROUNDS).index(scene.background)


def choose(wordings: Sequence[str], rank: int, rng: random.Random) -> str:
    """One of the wordings: mostly the favourite, which `rank` decides."""
    favourite = wordings[rank % len(wordings)]
    return favourite if rng.random() < FAVOUR else rng.choice(wordings)


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
