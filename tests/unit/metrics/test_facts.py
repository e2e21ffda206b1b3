"""A fact is stated where its word stands, and no other of its kind does."""

from __future__ import annotations

from itertools import islice

import pytest

from fastvlm.data.scene_tasks import examples
from fastvlm.metrics.facts import states


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is a red circle at the top.", "red"),
        ("The background is gray.", "grey"),
        ("A little star.", "small"),
        ("Two crosses and squares.", "two"),
        ("There are 2 of them.", "two"),
        ("The sign says 2.", "2"),
        ("There are zero more.", "zero"),
        ("In the middle.", "centre"),
        ("In the top left corner.", "top left"),
        ("Yes, there is no doubt.", "yes"),
        ("No: a red star.", "no"),
        ("The sign says GO!", "go"),
        ("crosses", "cross"),
        ("He holds a Fire Hydrant.", "fire hydrant"),
        ("C'est un café.", "café"),
    ],
)
def test_a_stated_fact(text, answer):
    assert states(text, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("A red or blue circle.", "red"),
        ("A blue circle.", "red"),
        ("", "red"),
        ("A reddish circle.", "red"),
        ("At the top left.", "top"),
        ("At the top.", "top left"),
        ("Two, no, three.", "three"),
        ("22", "2"),
        ("A star and a circle.", "star"),
        ("There is, yes.", "yes"),
        ("", "no"),
        ("I cannot say: go or hi.", "go"),
        ("It is gone.", "go"),
        ("fire", "fire hydrant"),
        ("cafés", "café"),
    ],
)
def test_a_fact_that_is_not_stated(text, answer):
    assert not states(text, answer)


@pytest.mark.parametrize("task", ["question", "vqa", "dialogue"])
def test_every_right_answer_of_a_scene_states_its_fact_and_those_to_other_facts_do_not(task):
    told = list(islice(examples("drawn", task, "train", 1), 60))
    for example in told:
        said = (example.answer,) if task == "vqa" else example.references
        assert all(states(text, example.answer) for text in said), (example.prompt, said, example.answer)
    wrong = [(o.answer, e.answer) for e in told for o in told if e.prompt == o.prompt and e.answer != o.answer]
    assert not any(states(text, fact) for text, fact in wrong)
