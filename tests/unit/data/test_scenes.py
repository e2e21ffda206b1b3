"""Scenes: what is drawn is what is said to be drawn, and no two splits share a picture."""

from __future__ import annotations

import random
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from fastvlm.data.scenes import BACKGROUNDS, CELL, COLOURS, RADII, Scene, draw, sample_scenes


def scenes(split: str, counts=(1, 2, 3), seed: int = 0, number: int = 50) -> list[Scene]:
    return list(islice(sample_scenes(split, counts, random.Random(seed)), number))


def test_splits_share_no_content_whatever_the_seed():
    def content(scene):
        return scene.background, tuple((t.size, t.colour, t.shape, t.place) for t in scene.things)

    train, validation, test = (
        {content(scene) for seed in range(3) for scene in scenes(split, (1,), seed)} for split in ("train", "validation", "test")
    )
    assert not train & test and not train & validation and not validation & test


@given(st.integers(0, 9999))
def test_a_scene_survives_its_manifest(seed):
    scene = scenes("train", seed=seed, number=1)[0]
    again = Scene.from_dict(scene.to_dict())
    assert again == scene and draw(again).tobytes() == draw(scene).tobytes()


@given(st.integers(0, 9999))
def test_each_thing_lies_in_its_own_cell_in_its_colour(seed):
    scene = scenes("train", (1, 2, 3, 4, 5), seed, 1)[0]
    image = draw(scene)
    drawn = {(row, column) for row in range(3) for column in range(3) if _ink(image, scene, row, column)}
    assert drawn == {thing.cell for thing in scene.things}
    for thing in scene.things:
        row, column = thing.cell
        centre = (column * CELL + CELL // 2 + thing.dx, row * CELL + CELL // 2 + thing.dy)
        assert image.getpixel(centre) == COLOURS[thing.colour]


def test_large_things_cover_more_than_small_ones_of_the_same_shape():
    pairs = {}
    for scene in scenes("train", (1,), number=400):
        thing = scene.things[0]
        pairs.setdefault((thing.shape, thing.size), []).append(_ink(draw(scene), scene, *thing.cell))
    for shape in {shape for shape, _ in pairs}:
        assert max(pairs[shape, "small"]) < min(pairs[shape, "large"])
    assert set(RADII) == {"large", "small"}


def _ink(image, scene, row, column):
    """Pixels of a cell that are not background."""
    cell = image.crop((column * CELL, row * CELL, (column + 1) * CELL, (row + 1) * CELL))
    ground = BACKGROUNDS[scene.background]
    return sum(cell.getpixel((x, y)) != ground for x in range(CELL) for y in range(CELL))
