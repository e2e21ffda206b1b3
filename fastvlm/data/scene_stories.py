"""Two more ways to speak at length of a scene: a walk through it, and a comparison of what is in it."""

from __future__ import annotations

import random

from fastvlm.data.scenes import Scene, Thing
from fastvlm.data.wording import NUMBERS, choose, description, long_enough, narrator_of, noun_phrase, place_phrase

WALK_OPENINGS = (
    "I can see {number} shapes in this picture, on a {background} background.",
    "in this {background} picture I can see {number} shapes.",
)
WALK_STEPS = (
    "there is {noun} {place}.",
    "I see {noun} {place}.",
    "{place} there is {noun}.",
)
ORDINALS = ("first", "next", "then", "after that", "finally")
WALK_CLOSINGS = ("that is all that I can see here.", "there is nothing else in the picture.", "the rest of the picture is {background}.")
COMPARE_OPENINGS = (
    "{large} of the {number} shapes {are_large} large and {small} {are_small} small.",
    "out of {number} shapes, {large} {are_large} large and {small} {are_small} small.",
)
COMPARE_CLOSINGS = (
    "so the {more} ones are in the majority on this {background} picture.",
    "this means that most of the shapes on the {background} background are {more}.",
)
COMPARE_EVEN = ("so there are as many large ones as small ones on this {background} picture.",)


def walk(scene: Scene, rng: random.Random) -> str:
    """In the first person, one thing after the other."""
    return long_enough(lambda: _walk(scene, rng))


def comparison(scene: Scene, rng: random.Random) -> str:
    """The large things, then the small ones, and which are more."""
    return long_enough(lambda: _comparison(scene, rng))


# category: (what is asked, how it is answered)
CATEGORIES = {
    "conversation": ("What can you see in this picture?", walk),
    "detail": ("Describe the image in detail.", description),
    "complex": ("Are the shapes large or small, and which are more?", comparison),
}


def _walk(scene: Scene, rng: random.Random) -> list[str]:
    narrator, words = narrator_of(scene), {"number": NUMBERS[len(scene.things)], "background": scene.background}
    last = len(scene.things) - 1
    steps = [
        f"{ORDINALS[-1] if index == last else ORDINALS[index]}, {_step(thing, narrator, rng)}" for index, thing in enumerate(scene.things)
    ]
    return [choose(WALK_OPENINGS, narrator, rng).format(**words), *steps, choose(WALK_CLOSINGS, narrator, rng).format(**words)]


def _step(thing: Thing, narrator: int, rng: random.Random) -> str:
    frame = choose(WALK_STEPS, narrator // 2, rng)
    return frame.format(noun=noun_phrase(thing, narrator, rng), place=place_phrase(thing, narrator, rng))


def _comparison(scene: Scene, rng: random.Random) -> list[str]:
    narrator = narrator_of(scene)
    groups = {size: [thing for thing in scene.things if thing.size == size] for size in ("large", "small")}
    large, small = (len(group) for group in groups.values())
    words = {
        "number": NUMBERS[len(scene.things)], "large": NUMBERS[large], "small": NUMBERS[small], "background": scene.background,
        "are_large": _be(large), "are_small": _be(small), "more": "large" if large > small else "small",
    }  # fmt: skip
    closings = COMPARE_EVEN if large == small else COMPARE_CLOSINGS
    told = [_group(size, things, narrator, rng) for size, things in groups.items() if things]
    return [choose(COMPARE_OPENINGS, narrator, rng).format(**words), *told, choose(closings, narrator, rng).format(**words)]


def _group(size: str, things: list[Thing], narrator: int, rng: random.Random) -> str:
    named = [f"{noun_phrase(thing, narrator, rng)} {place_phrase(thing, narrator, rng)}" for thing in things]
    return f"the {size} {'one is' if len(things) == 1 else 'ones are'} {' and '.join(named)}."


def _be(count: int) -> str:
    return "is" if count == 1 else "are"
