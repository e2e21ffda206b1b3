"""VisDial: ten rounds with gold history, 100 candidates, and relevance of the one round that people judged."""

from __future__ import annotations

import json

import pytest

from fastvlm.data.visdial import dialogue_examples, read_dialogues, read_relevance
from tests.official_files import read, refused, relevance, shared, visdial, write

FILES = {"dialogues": "visdial_1.0_val.json", "relevance": "visdial_1.0_val_dense_annotations.json"}
KNOBS = {"benchmark": "visdial", "images": "images", **FILES}


def folder(tmp_path, dialogues=None, judged=None):
    files = {FILES["dialogues"]: dialogues or visdial(), FILES["relevance"]: relevance() if judged is None else judged}
    return write(tmp_path / "own", files, [f"images/VisualDialog_val2018_{185565 + n:012d}.jpg" for n in range(3)])


def test_each_round_is_an_example_with_what_was_said_before(tmp_path):
    examples = read(folder(tmp_path), **KNOBS)
    assert [example.id for example in examples[9:11]] == ["own-185565-10", "own-185566-01"] and len(examples) == 30
    first, third = examples[0], examples[2]
    assert first.dialogue.history == ()
    assert third.dialogue.history == (("question 1", "answer 1"), ("question 2", "answer 2"))
    assert (third.task, third.prompt, third.references) == ("dialogue", "question 3", ("answer 3",))
    assert third.dialogue.caption == "caption 0" and len(third.dialogue.candidates) == 100
    assert all(example.dialogue.candidates[example.dialogue.right] == example.references[0] for example in examples)
    assert len({example.sha256 for example in examples}) == 3


def test_relevance_goes_to_its_round_counted_from_one(tmp_path):
    examples = read(folder(tmp_path), **KNOBS)
    assert [example.id for example in examples if example.dialogue.relevance] == ["own-185565-01", "own-185566-02", "own-185567-03"]
    assert examples[0].dialogue.relevance[:3] == (1.0, 0.5, 0.0)


def test_the_test_servers_word_for_relevance(tmp_path):
    judged = [{"relevance" if key == "gt_relevance" else key: value for key, value in record.items()} for record in relevance()]
    assert read(folder(tmp_path, judged=judged), **KNOBS)[0].dialogue.relevance[:2] == (1.0, 0.5)


def test_without_relevance(tmp_path):
    assert not any(example.dialogue.relevance for example in read(folder(tmp_path), **KNOBS | {"relevance": None}))


def test_a_dialogue_is_one_row_of_a_sample(tmp_path):
    examples = read(folder(tmp_path), **KNOBS | {"validation": 1, "test": 1})
    assert [sum(example.split == split for example in examples) for split in ("train", "validation", "test")] == [0, 10, 10]


def broken(change):
    content = visdial()
    change(content["data"]["dialogs"][1]["dialog"], content["data"]["dialogs"][1], content["data"])
    return content


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rounds, *_: rounds.pop(), "dialogs[1]: 9 rounds, expected 10"),
        (lambda rounds, *_: rounds[3]["answer_options"].pop(), "dialogs[1].dialog[3].answer_options: 99 candidates, expected 100"),
        (lambda rounds, *_: rounds[3].pop("answer_options"), "dialogs[1].dialog[3].answer_options: missing, expected a list"),
        (lambda rounds, *_: rounds[3].update(gt_index=100), "dialog[3]: found 100 as a place in 'answer_options', expected 0 to 99"),
        (
            lambda rounds, *_: rounds[3].update(gt_index=7),
            "dialog[3].gt_index: candidate 7 is 'answer 7', expected the human answer, 'answer 4'",
        ),
        (lambda rounds, *_: rounds[3].update(question=10), "dialog[3]: found 10 as a place in 'questions', expected 0 to 9"),
        (lambda rounds, *_: rounds[3].pop("answer"), "dialogs[1].dialog[3].answer: missing, expected a number"),
        (lambda _, dialogue, __: dialogue.update(image_id=185565), "dialogs: id 185565 occurs twice, expected each id once"),
        (lambda _, dialogue, __: dialogue.update(caption=""), "dialogs[1].caption: empty, expected text"),
        (lambda *parts: parts[2].pop("answers"), "data.answers: missing, expected a list"),
    ],
)
def test_bad_dialogues_are_named(tmp_path, change, line):
    refused(folder(tmp_path, broken(change)), line, **KNOBS)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"round_id": 0}, "[1].round_id: found 0, expected 1 to 10"),
        ({"gt_relevance": [1.0] * 99}, "[1]: relevance of 99 candidates, expected 100"),
        ({"gt_relevance": None}, "[1].gt_relevance: found NoneType, expected a list"),
        ({"image_id": 185565, "round_id": 1}, "id (185565, 1) occurs twice, expected each id once"),
    ],
)
def test_bad_relevance_is_named(tmp_path, changes, line):
    judged = relevance()
    judged[1].update(changes)
    refused(folder(tmp_path, judged=judged), line, **KNOBS)


def test_relevance_of_another_shape(tmp_path):
    refused(folder(tmp_path, judged={}), "dense_annotations.json: found dict, expected visdial_1.0_val_dense_annotations.json", **KNOBS)


def test_real_dialogues():
    own = shared("visdial-sample")
    judged = read_relevance(own / FILES["relevance"])
    examples = [
        example
        for identity, dialogue in read_dialogues(own / FILES["dialogues"]).items()
        for example in dialogue_examples("own", identity, dialogue, judged)
    ]
    assert len(examples) == 970
    assert all(len(example.dialogue.candidates) == 100 for example in examples)
    assert all(example.dialogue.candidates[example.dialogue.right] == example.references[0] for example in examples)
    assert sum(bool(example.dialogue.relevance) for example in examples) == len(json.loads((own / FILES["relevance"]).read_text())) == 97
    refused(own, "names 97 images that are needed, and 97 of them are not there", **KNOBS)
