"""Wording: true of the scene, within the words allowed, varied, and the same for the same generator."""

from __future__ import annotations

import random
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data.scenes import sample_scenes
from fastvlm.data.wording import NUMBERS, caption, description
from fastvlm.metrics.seeing import all_right, mentions


def one(counts, seed):
    rng = random.Random(seed)
    return next(sample_scenes("train", counts, rng)), rng


@settings(max_examples=200)
@given(st.integers(0, 10**6))
def test_a_caption_is_one_true_sentence_about_everything(seed):
    scene, rng = one((1, 2), seed)
    text = caption(scene, rng)
    assert text.count(".") == 1 and text[0].isupper()
    assert all_right(text, scene)
    assert [mention.place for mention in mentions(text)] == [thing.place for thing in scene.things]
    assert scene.background in text


@settings(max_examples=200)
@given(st.integers(0, 10**6))
def test_a_description_is_true_and_has_forty_to_eighty_words(seed):
    scene, rng = one((3, 4, 5), seed)
    text = description(scene, rng)
    assert 40 <= len(text.split()) <= 80
    assert all_right(text, scene)
    assert [mention.place for mention in mentions(text)] == [thing.place for thing in scene.things]
    large = sum(thing.size == "large" for thing in scene.things)
    closing = text.lower().split(". ")[-1]
    assert NUMBERS[large] in closing.split() and NUMBERS[len(scene.things) - large] in closing.split()


def test_the_same_scene_is_said_in_many_ways_and_reproducibly():
    scene, _ = one((2,), 4)
    texts = [caption(scene, random.Random(seed)) for seed in range(50)]
    assert len(set(texts)) > 20
    assert texts == [caption(scene, random.Random(seed)) for seed in range(50)]


def test_the_likeliest_wording_differs_from_picture_to_picture():
    """The first two words of the most frequent caption: a reader of words alone cannot know them."""
    openings = set()
    for scene in islice(sample_scenes("train", (1,), random.Random(3)), 40):
        texts = [caption(scene, random.Random(seed)) for seed in range(30)]
        openings.add(" ".join(max(set(texts), key=texts.count).split()[:2]))
    assert len(openings) >= 4
