"""The check of attributes must pass the truth and fail each single lie."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from fastvlm.data.example import write_manifest
from fastvlm.data.scenes import Scene, Thing
from fastvlm.data.wording import caption
from fastvlm.metrics.seeing import Mention, all_right, mentions, right_mentions, write_seeing
from fastvlm.rows import write_rows
from tests import tiny

SCENE = Scene("grey", (Thing("large", "red", "circle", "top left"), Thing("small", "blue", "star", "centre")))


@pytest.mark.parametrize(
    "lie",
    [
        "A small red circle sits in the top left corner and a small blue star in the centre on a grey background.",
        "A large green circle sits in the top left corner and a small blue star in the centre on a grey background.",
        "A large red square sits in the top left corner and a small blue star in the centre on a grey background.",
        "A large red circle sits at the top and a small blue star in the centre on a grey background.",
        "A large red circle sits in the top left corner and a little blue star on the right on a grey background.",
        "A large red circle sits in the top left corner and a little blue star in the middle on a pink background.",
        "A picture.",
    ],
)
def test_each_lie_is_seen(lie):
    assert not all_right(lie, SCENE)


def test_the_truth_in_other_words_passes():
    assert all_right("At the top left of a grey picture rests a big red circle and a little blue star in the middle.", SCENE)
    assert right_mentions("A big red circle at the top left. A big red circle at the top right.", SCENE) == (1, 2)


def test_a_place_before_its_noun_and_a_relation():
    text = "On the right, to the right of the red star, is a small blue circle."
    assert mentions(text) == [Mention("small", "blue", "circle", "right")]


def test_the_table_counts(tmp_path):
    examples = tiny.examples(4)
    manifest = tmp_path / "scenes-caption.jsonl"
    write_manifest(manifest, examples)
    texts = [caption(Scene.from_dict(example.scene), random.Random(1)) for example in examples]
    texts[0] = "A picture."
    key = {"experiment": "e", "model": "m", "dataset": "scenes-caption"}
    write_rows(tmp_path / "rows.jsonl", ({**key, "example": e.id, "text": t} for e, t in zip(examples, texts, strict=True)))
    write_seeing([tmp_path / "rows.jsonl"], [manifest], tmp_path / "seeing.csv")
    line = pd.read_csv(tmp_path / "seeing.csv").iloc[0]
    things = [len(example.scene["things"]) for example in examples]
    assert (line.examples, line.texts_all_right, line.things) == (4, 3, sum(things))
    assert line.mentions == line.mentions_right == sum(things[1:])
