"""Questions about a scene, each with the fact that answers it and the sentences in which that is said."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations

from fastvlm.data.scenes import SHAPES, Scene, Sign, Thing
from fastvlm.data.wording import NUMBERS, choose, narrator_of, place_phrase

REVERSED = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Question:
    """`kind` names its maker; `tags` are the capabilities that it asks for; `frames` may hold {place}, that of `where`."""

    text: str
    fact: str
    kind: str
    tags: tuple[str, ...]
    frames: tuple[str, ...]
    narrator: int
    where: Thing | Sign | None = None

    def answer(self, rng: random.Random) -> str:
        """A sentence; which of them is likely depends on the scene."""
        frame = choose(self.frames, self.narrator, rng)
        sentence = frame.format(place=place_phrase(self.where, self.narrator, rng) if self.where else "")
        return sentence[0].upper() + sentence[1:]


Maker = Callable[[Scene], Iterator[Question]]


def colour_questions(scene: Scene) -> Iterator[Question]:
    """Of things that are the only ones of their shape."""
    for thing in _alone(scene):
        frames = (f"the {thing.shape} {{place}} is {thing.colour}.", f"it is {_a(thing.colour)} {thing.shape} {{place}}.")
        yield _question(scene, f"What colour is the {thing.shape}?", thing.colour, "colour", ("colour",), frames, thing)


def shape_questions(scene: Scene) -> Iterator[Question]:
    for thing in scene.things:
        frames = (f"{_a(thing.colour)} {thing.shape} is {{place}}.", f"there is a {thing.size} {thing.shape} {{place}}.")
        yield _question(scene, f"What is at the {thing.place}?", thing.shape, "shape", ("place",), frames, thing)


def place_questions(scene: Scene) -> Iterator[Question]:
    for thing in _alone(scene):
        frames = (f"the {thing.colour} {thing.shape} is {{place}}.", f"the {thing.shape} can be seen {{place}} of the picture.")
        yield _question(scene, f"Where is the {thing.shape}?", thing.place, "place", ("place",), frames, thing)


def size_questions(scene: Scene) -> Iterator[Question]:
    for thing in _alone(scene):
        frames = (f"the {thing.shape} {{place}} is {thing.size}.", f"it is a {thing.size} {thing.colour} {thing.shape}.")
        yield _question(scene, f"Is the {thing.shape} large or small?", thing.size, "size", ("size",), frames, thing)


def existence_questions(scene: Scene) -> Iterator[Question]:
    """Is there such a shape: as often yes as no, as the maker takes as many of either."""
    shown = {thing.shape: thing for thing in scene.things}
    absent = [shape for shape in SHAPES if shape not in shown]
    for shape, thing in shown.items():
        frames = (f"yes, there is a {shape} {{place}}.", f"yes, {_a(thing.colour)} {shape} is {{place}}.")
        yield _question(scene, f"Is there a {shape}?", "yes", "existence", ("recognition",), frames, thing)
    for shape in absent[: len(shown)]:
        frames = (f"no, there is no {shape} in the picture.", f"no, I cannot see a {shape} here.")
        yield _question(scene, f"Is there a {shape}?", "no", "existence", ("recognition",), frames)


def count_questions(scene: Scene) -> Iterator[Question]:
    """Of all, of those of a size, and of a shape; of shapes that stand alone only one is asked about, or 'one' would answer most."""
    for size in ("large", "small"):
        yield _count(scene, f"{size} shape", sum(thing.size == size for thing in scene.things))
    yield _count(scene, "shape", len(scene.things))
    shapes = [thing.shape for thing in scene.things]
    alone = [shape for shape in shapes if shapes.count(shape) == 1]
    for shape in dict.fromkeys([*alone[:1], *(shape for shape in shapes if shape not in alone)]):
        yield _count(scene, shape, shapes.count(shape))


def _count(scene: Scene, noun: str, count: int) -> Question:
    frames = (f"there {_be(count)} {_number(count, noun)} in the picture.", f"I can count {_number(count, noun)} here.")
    return _question(scene, f"How many {_plural(noun)} are there?", _none(count), "count", ("count",), frames)


def arithmetic_questions(scene: Scene) -> Iterator[Question]:
    """Sums of two counts, and how many more shapes are large than small."""
    shapes = sorted({thing.shape for thing in scene.things}, key=SHAPES.index)
    for one, other in pairwise(shapes):
        total = sum(thing.shape in (one, other) for thing in scene.things)
        frames = (f"together there are {NUMBERS[total]} of them.", f"the {_plural(one)} and {_plural(other)} make {NUMBERS[total]} in all.")
        text = f"How many {_plural(one)} and {_plural(other)} are there together?"
        yield _question(scene, text, NUMBERS[total], "sum", ("count", "arithmetic"), frames)
    large = sum(thing.size == "large" for thing in scene.things)
    more = 2 * large - len(scene.things)
    if more >= 0:
        frames = (
            f"there {_be(more)} {_none(more)} more large than small ones.",
            f"the large ones are {_none(more)} more than the small ones.",
        )
        text = "How many more large than small shapes are there?"
        yield _question(scene, text, _none(more), "difference", ("count", "arithmetic"), frames)


def relation_questions(scene: Scene) -> Iterator[Question]:
    """Of two things that are each the only one of its shape; asked about both ways round, so that yes is as likely as no."""
    for thing, other in permutations(_alone(scene), 2):
        for relation in _relations(thing, other):
            said = f"the {thing.colour} {thing.shape} is {relation} the {other.colour} {other.shape}."
            frames = (f"yes, {said}", f"yes, the {thing.shape} {{place}} is {relation} the {other.shape}.")
            yield _question(scene, f"Is the {thing.shape} {relation} the {other.shape}?", "yes", "relation", ("relation",), frames, thing)
            frames = (f"no, {said}", f"no, the {thing.shape} {{place}} is {relation} the {other.shape}.")
            text = f"Is the {thing.shape} {REVERSED[relation]} the {other.shape}?"
            yield _question(scene, text, "no", "relation", ("relation",), frames, thing)


def sign_questions(scene: Scene) -> Iterator[Question]:
    if scene.sign:
        frames = (f"the sign {{place}} says {scene.sign.text}.", f"it says {scene.sign.text} {{place}}.")
        yield _question(scene, "What does the sign say?", scene.sign.text, "sign", ("reading",), frames, scene.sign)


def background_questions(scene: Scene) -> Iterator[Question]:
    frames = (f"the background of the picture is {scene.background}.", f"everything is drawn on a {scene.background} background.")
    yield _question(scene, "What colour is the background?", scene.background, "background", ("colour",), frames)


CAPABILITIES: tuple[Maker, ...] = (
    colour_questions,
    place_questions,
    shape_questions,
    count_questions,
    arithmetic_questions,
    relation_questions,
    sign_questions,
)
ONE_WORD: tuple[Maker, ...] = (
    colour_questions,
    shape_questions,
    count_questions,
    existence_questions,
    size_questions,
    sign_questions,
    background_questions,
)
CHAT: tuple[Maker, ...] = (*ONE_WORD, place_questions)


def ask(scene: Scene, makers: tuple[Maker, ...], rng: random.Random) -> Question:
    """A question of a maker drawn from those that have one to ask."""
    asked = [questions for make in makers if (questions := list(make(scene)))]
    return rng.choice(rng.choice(asked))


def _question(
    scene: Scene, text: str, fact: str, kind: str, tags: tuple[str, ...], frames: tuple[str, ...], where: Thing | Sign | None = None
) -> Question:
    return Question(text, fact, kind, tags, frames, narrator_of(scene), where)


def _alone(scene: Scene) -> list[Thing]:
    """The things whose shape no other thing has."""
    shapes = [thing.shape for thing in scene.things]
    return [thing for thing in scene.things if shapes.count(thing.shape) == 1]


def _relations(thing: Thing, other: Thing) -> Iterator[str]:
    (row, column), (other_row, other_column) = thing.cell, other.cell
    if row != other_row:
        yield "above" if row < other_row else "below"
    if column != other_column:
        yield "left of" if column < other_column else "right of"


def _number(count: int, noun: str) -> str:
    return f"{_none(count)} {noun if count == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def _a(colour: str) -> str:
    return f"an {colour}" if colour[0] in "aeiou" else f"a {colour}"


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _none(count: int) -> str:
    return NUMBERS[count] if count else "zero"
