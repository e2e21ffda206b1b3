"""Drawn scenes: a few coloured shapes, and perhaps a sign, on a 3 x 3 grid whose cells line up with 16-pixel image patches.

A scene belongs to a split by the hash of what it shows, so no two splits share a picture whatever the seed. Some pairs of colour
and shape are novel: no scene shows them unless it is asked to.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from math import cos, pi, sin
from typing import Any

from PIL import Image, ImageDraw

from fastvlm.data.letters import letters_mask

CELL = 16
GRID = 3
COLOURS = {
    "red": (220, 30, 30), "orange": (255, 140, 0), "yellow": (250, 220, 0), "green": (20, 150, 50),
    "blue": (30, 70, 220), "purple": (130, 40, 160), "brown": (120, 70, 30), "black": (15, 15, 15),
}  # fmt: skip
BACKGROUNDS = {
    "white": (250, 250, 250), "grey": (150, 150, 150), "pink": (255, 190, 205),
    "beige": (235, 220, 180), "turquoise": (120, 225, 215), "lavender": (200, 180, 250),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross")
RADII = {"large": 7.0, "small": 4.5}  # pixels
NOVEL = frozenset(
    {("red", "diamond"), ("orange", "cross"), ("yellow", "square"), ("green", "circle"), ("blue", "triangle"), ("purple", "star")}
)
SIGNS = ("go", "hi", "ox", "tv", "ax", "pi", *"0123456789")
PLACES = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")


@dataclass(frozen=True)
class Thing:
    """One shape. `dx` and `dy` shift it inside its cell, in pixels; no text speaks of them."""

    size: str
    colour: str
    shape: str
    place: str
    dx: int = 0
    dy: int = 0

    @property
    def cell(self) -> tuple[int, int]:
        """(row, column) on the grid."""
        return divmod(PLACES.index(self.place), GRID)


@dataclass(frozen=True)
class Sign:
    """A word or digit, written in black."""

    text: str
    place: str


@dataclass(frozen=True)
class Scene:
    """A background, its things in reading order, and the sign, if there is one."""

    background: str
    things: tuple[Thing, ...]
    sign: Sign | None = None

    @staticmethod
    def from_dict(scene: dict[str, Any]) -> Scene:
        sign = Sign(**scene["sign"]) if scene["sign"] else None
        return Scene(scene["background"], tuple(Thing(**thing) for thing in scene["things"]), sign)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def split(self) -> str:
        """The split that this content belongs to: a tenth each to validation and test."""
        names = [(t.size, t.colour, t.shape, t.place) for t in self.things]
        bucket = hashlib.sha256(repr((self.background, names, self.sign)).encode()).digest()[0] % 10
        return {0: "validation", 1: "test"}.get(bucket, "train")

    @property
    def novel(self) -> int:
        """How many of its things are of a novel colour and shape."""
        return sum((thing.colour, thing.shape) in NOVEL for thing in self.things)


def sample_scenes(split: str, counts: tuple[int, ...], rng: random.Random, *, novel: bool = False, signs: float = 0.0) -> Iterator[Scene]:
    """Endless distinct scenes of one split; the number of things is drawn from `counts`.

    `novel`: things may be of novel colours and shapes, half of them are. `signs`: the share of scenes with a sign, 0..1.
    """
    seen = set()
    while True:
        scene = _sample(rng.choice(counts), rng, novel=novel, sign=rng.random() < signs)
        if scene.split == split and scene not in seen:
            seen.add(scene)
            yield scene


def _sample(count: int, rng: random.Random, *, novel: bool, sign: bool) -> Scene:
    cells = rng.sample(range(GRID * GRID), count + sign)
    things = tuple(_thing(PLACES[cell], rng, novel=novel and rng.random() < 0.5) for cell in sorted(cells[:count]))
    return Scene(rng.choice(tuple(BACKGROUNDS)), things, Sign(rng.choice(SIGNS), PLACES[cells[-1]]) if sign else None)


def _thing(place: str, rng: random.Random, *, novel: bool) -> Thing:
    pairs = [(colour, shape) for colour in COLOURS for shape in SHAPES if ((colour, shape) in NOVEL) == novel]
    colour, shape = rng.choice(pairs)
    return Thing(rng.choice(tuple(RADII)), colour, shape, place, rng.randint(-1, 1), rng.randint(-1, 1))


def draw(scene: Scene) -> Image.Image:
    """The scene as a 48 x 48 RGB picture."""
    image = Image.new("RGB", (GRID * CELL, GRID * CELL), BACKGROUNDS[scene.background])
    for thing in scene.things:
        image.paste(COLOURS[thing.colour], _corner(thing.place), _mask(thing.shape, thing.size, thing.dx, thing.dy))
    if scene.sign:
        image.paste(COLOURS["black"], _corner(scene.sign.place), letters_mask(scene.sign.text, CELL))
    return image


def _corner(place: str) -> tuple[int, int]:
    row, column = divmod(PLACES.index(place), GRID)
    return column * CELL, row * CELL


@cache
def _mask(shape: str, size: str, dx: int, dy: int) -> Image.Image:
    """A cell's coverage, 0..255; drawn eight times too large and reduced, which smooths the edges."""
    scale = 8
    mask = Image.new("L", (CELL * scale, CELL * scale), 0)
    centre_x, centre_y, radius = (CELL / 2 + dx) * scale, (CELL / 2 + dy) * scale, RADII[size] * scale
    pen = ImageDraw.Draw(mask)
    if shape == "circle":
        pen.ellipse((centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius), fill=255)
    else:
        pen.polygon([(centre_x + radius * x, centre_y + radius * y) for x, y in _outline(shape)], fill=255)
    return mask.resize((CELL, CELL), Image.Resampling.BOX)


def _outline(shape: str) -> list[tuple[float, float]]:
    """Corners of a shape inside the unit circle, y pointing down."""
    if shape == "star":
        return [((1.0 if k % 2 == 0 else 0.42) * sin(k * pi / 5), -(1.0 if k % 2 == 0 else 0.42) * cos(k * pi / 5)) for k in range(10)]
    return {
        "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
        "triangle": [(0, -1), (0.95, 0.8), (-0.95, 0.8)],
        "diamond": [(0, -1), (0.7, 0), (0, 1), (-0.7, 0)],
        "cross": [(-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3),
                  (0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3)],
    }[shape]  # fmt: skip
