"""The six tasks: shapes of the real ones, true answers, nothing in training that is held out."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data import scene_tasks
from fastvlm.data.example import Example, read_manifest, write_manifest
from fastvlm.data.scene_dialogue import CANDIDATES, ROUNDS
from fastvlm.data.scene_stories import comparison, walk
from fastvlm.data.scenes import NOVEL, Scene, sample_scenes
from fastvlm.data.wording import NUMBERS
from fastvlm.metrics.facts import states
from fastvlm.metrics.seeing import all_right, mentions


def some(task, split="test", count=40, seed=1):
    return list(islice(scene_tasks.examples(f"scenes-{task}", task, split, seed), count))


@pytest.mark.parametrize("task", [task for task in scene_tasks.TASKS if task != "novel"])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_training_shows_no_novel_pair(task, split):
    shown = {(thing["colour"], thing["shape"]) for example in some(task, split, 600) for thing in example.scene["things"]}
    assert not shown & NOVEL and len(shown) > 30


def test_domains_of_novel_captions():
    examples = some("novel", count=100)
    for example in examples:
        novel = [(thing["colour"], thing["shape"]) in NOVEL for thing in example.scene["things"]]
        expected = "out-domain" if all(novel) else "near-domain" if any(novel) else "in-domain"
        assert example.tags == (expected,) and example.task == "caption"
    assert {example.tags[0] for example in examples} == {"in-domain", "near-domain", "out-domain"}


@pytest.mark.parametrize("task", scene_tasks.TASKS)
def test_an_example_survives_its_manifest(tmp_path, task):
    examples = some(task, count=12)
    write_manifest(tmp_path / "task.jsonl", examples)
    # In JSON, a scene's tuples are lists.
    read = read_manifest(tmp_path / "task.jsonl", "test")
    assert read == [replace(example, scene=again.scene) for example, again in zip(examples, read, strict=True)]
    assert [Scene.from_dict(example.scene) for example in examples] == [Scene.from_dict(example.scene) for example in read]
    assert all(isinstance(example, Example) and example.pixels().size == (48, 48) for example in examples)
    assert examples == some(task, count=12) != some(task, count=12, seed=2)


def test_a_dialogue_has_ten_rounds_and_its_true_history():
    rounds = some("dialogue", count=3 * ROUNDS)
    for start in range(0, len(rounds), ROUNDS):
        dialogue = rounds[start : start + ROUNDS]
        assert len({example.sha256 for example in dialogue}) == 1
        assert [len(example.dialogue.history) for example in dialogue] == list(range(ROUNDS))
        for before, after in pairwise(dialogue):
            assert after.dialogue.history[-1] == (before.prompt, before.references[0])
        assert sum(bool(example.dialogue.relevance) for example in dialogue) == 1


def test_training_sees_a_round_of_each_scene():
    rounds = some("dialogue", split="train", count=60)
    assert len({example.sha256 for example in rounds}) > 55
    assert {len(example.dialogue.history) for example in rounds} == set(range(ROUNDS))


def test_candidates_hold_the_answer_once_and_no_other_right_one_goes_unmarked():
    for example in some("dialogue", count=20):
        dialogue = example.dialogue
        assert len(dialogue.candidates) == len(set(dialogue.candidates)) == CANDIDATES
        assert dialogue.candidates[dialogue.right] == example.references[0]
        if dialogue.relevance:
            assert dialogue.relevance[dialogue.right] == 1 and len(dialogue.relevance) == CANDIDATES
            assert all(states(text, example.answer) for text, worth in zip(dialogue.candidates, dialogue.relevance, strict=True) if worth)


def test_the_answer_is_not_known_by_its_place():
    places = {example.dialogue.right for example in some("dialogue", count=30)}
    assert len(places) > 15


def test_train_rounds_carry_no_candidates():
    assert not any(example.dialogue.candidates for example in some("dialogue", "train"))


def test_one_word_questions_have_ten_answers_of_which_most_agree():
    for example in some("vqa", count=200):
        assert len(example.references) == 10 and " " not in example.answer
        assert all(text and " " not in text for text in example.references)
    agreeing = sum(example.references.count(example.answer) for example in some("vqa", count=200)) / 2000
    assert 0.75 < agreeing < 0.95
    assert {example.tags for example in some("vqa", count=200)} == {("yes/no",), ("number",), ("other",)}


def test_questions_ask_for_every_capability():
    tags = {tag for example in some("question", count=300) for tag in example.tags}
    assert tags == {"colour", "place", "count", "arithmetic", "relation", "reading"}


def test_descriptions_take_the_categories_in_turn_and_tell_the_judge():
    examples = some("description", count=9)
    assert [example.tags[0] for example in examples] == ["conversation", "detail", "complex"] * 3
    assert len({example.prompt for example in examples}) == 3
    assert all(all_right(example.context, Scene.from_dict(example.scene)) for example in examples)


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.sampled_from([walk, comparison]))
def test_stories_are_true_name_everything_and_are_long(seed, tell):
    rng = random.Random(seed)
    scene = next(sample_scenes("train", (3, 4, 5), rng))
    text = tell(scene, rng)
    assert 40 <= len(text.split()) <= 80
    assert all_right(text, scene) and scene.background in text
    assert sorted(mention.place for mention in mentions(text)) == sorted(thing.place for thing in scene.things)
    assert NUMBERS[len(scene.things)] in text.lower().split()
