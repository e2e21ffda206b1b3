"""Questions: the fact is true of the scene, every wording states it and no other of its kind, and yes is as likely as no."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data.scene_questions import CAPABILITIES, CHAT, ONE_WORD, ask, relation_questions
from fastvlm.data.scenes import PLACES, Scene, Sign, Thing, sample_scenes
from fastvlm.metrics.facts import states

SCENE = Scene(
    "pink",
    (
        Thing("large", "orange", "star", "top left"),
        Thing("small", "red", "circle", "right"),
        Thing("large", "blue", "circle", "bottom"),
    ),
    Sign("7", "centre"),
)
MAKERS = tuple(dict.fromkeys((*CAPABILITIES, *CHAT)))


def asked(scene):
    return {question.text: question for make in MAKERS for question in make(scene)}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("What colour is the star?", "orange"),
        ("What is at the right?", "circle"),
        ("Where is the star?", "top left"),
        ("Is the star large or small?", "large"),
        ("Is there a circle?", "yes"),
        ("Is there a square?", "no"),
        ("How many shapes are there?", "three"),
        ("How many circles are there?", "two"),
        ("How many small shapes are there?", "one"),
        ("How many circles and stars are there together?", "three"),
        ("How many more large than small shapes are there?", "one"),
        ("What does the sign say?", "7"),
        ("What colour is the background?", "pink"),
    ],
)
def test_facts_worked_out_by_hand(text, fact):
    assert asked(SCENE)[text].fact == fact


def test_what_stands_twice_is_not_asked_about_as_if_it_stood_once():
    assert not {"What colour is the circle?", "Where is the circle?", "Is the circle large or small?"} & asked(SCENE).keys()


def test_relations_by_coordinates():
    scene = Scene("grey", (Thing("large", "red", "star", "top left"), Thing("small", "blue", "cross", "bottom")))
    facts = {question.text: question.fact for question in relation_questions(scene)}
    assert facts["Is the star above the cross?"] == facts["Is the cross right of the star?"] == "yes"
    assert facts["Is the star below the cross?"] == facts["Is the star right of the cross?"] == "no"


@settings(max_examples=150)
@given(st.integers(0, 10**6))
def test_every_wording_states_the_fact(seed):
    """By the same reading by which models are scored."""
    rng = random.Random(seed)
    scene = next(sample_scenes("train", (2, 3, 4), rng, signs=0.5))
    for question in asked(scene).values():
        text = question.answer(rng)
        assert states(text, question.fact), (text, question.fact)
        assert text[0].isupper() and text.endswith(".") and "a o" not in f" {text}".replace("a on", "")


def test_yes_and_no_are_as_likely():
    rng = random.Random(0)
    scenes = list(islice(sample_scenes("train", (2, 3, 4), rng), 2000))
    facts = Counter(question.fact for scene in scenes if (question := ask(scene, ONE_WORD, rng)).fact in ("yes", "no"))
    assert 0.45 < facts["yes"] / facts.total() < 0.55


def test_no_answer_is_likely_enough_to_be_guessed():
    rng = random.Random(0)
    for makers in (CAPABILITIES, ONE_WORD):
        facts = Counter(ask(scene, makers, rng).fact for scene in islice(sample_scenes("train", (2, 3, 4), rng, signs=0.5), 2000))
        assert facts.most_common(1)[0][1] / facts.total() < 0.2


def test_a_sign_is_asked_about_where_there_is_one():
    assert "What does the sign say?" not in asked(Scene("grey", SCENE.things))
    assert all(thing.place in PLACES for thing in SCENE.things)
