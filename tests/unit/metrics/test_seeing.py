"""The check of attributes must pass the truth and fail each single lie."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice

import pytest

from fastvlm.data.example import write_manifest
from fastvlm.data.scene_tasks import examples as drawn
from fastvlm.data.scenes import Scene, Thing
from fastvlm.data.wording import caption
from fastvlm.metrics.seeing import COLUMNS, Mention, all_right, mentions, right_mentions, write_seeing
from fastvlm.rows import write_rows
from fastvlm.table_file import read_table
from tests import tiny
from tests.rows_factory import decode_row

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


def write(folder, dataset, examples, texts):
    """Plain decoding's rows of a dataset beside its manifest; returns the lines of the table."""
    manifest, rows = folder / f"{dataset}.jsonl", folder / "rows.jsonl"
    write_manifest(manifest, examples)
    row = decode_row(random.Random(0), "baseline", None, None, dataset=dataset)
    write_rows(rows, (row | {"example": e.id, "text": t} for e, t in zip(examples, texts, strict=True)))
    write_seeing([rows], [manifest], folder / "seeing.csv")
    return read_table(folder / "seeing.csv", *COLUMNS)


def test_the_table_counts(tmp_path):
    examples = tiny.examples(4)
    texts = [caption(Scene.from_dict(example.scene), random.Random(1)) for example in examples]
    texts[0] = "A picture."
    [line] = write(tmp_path, "scenes-caption", examples, texts)
    things = [len(example.scene["things"]) for example in examples]
    assert [line[key] for key in ("examples", "texts_all_right", "things")] == [4, 3, sum(things)]
    assert line["mentions"] == line["mentions_right"] == sum(things[1:])
    assert line["answers"] is line["answers_right"] is None


def test_answers_are_counted_where_a_fact_is_asked_for(tmp_path):
    examples = list(islice(drawn("d", "question", "test", 1), 5))
    texts = ["I do not know.", *(example.references[0] for example in examples[1:])]
    [line] = write(tmp_path, "scenes-question", examples, texts)
    assert [line[key] for key in ("examples", "answers", "answers_right", "mentions", "texts_all_right")] == [5, 5, 4, None, None]


def test_photographs_have_no_line(tmp_path):
    examples = [replace(example, scene=None) for example in tiny.examples(2)]
    assert write(tmp_path, "photos", examples, ["A picture."] * 2) == []
