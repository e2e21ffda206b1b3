"""VQAv2: ten answers a question, as they were given."""

from __future__ import annotations

import pytest

from tests.official_files import read, refused, vqa, write

KNOBS = {"benchmark": "vqav2", "images": "val2014", "questions": "questions.json", "annotations": "annotations.json"}


def folder(tmp_path, change=None):
    questions, annotations = vqa()
    if change:
        change(questions["questions"], annotations["annotations"])
    return write(
        tmp_path / "own", {"questions.json": questions, "annotations.json": annotations}, ["val2014/COCO_val2014_000000262148.jpg"]
    )


def test_examples(tmp_path):
    examples = read(folder(tmp_path), **KNOBS)
    assert [example.id for example in examples] == [f"own-{262148000 + n}" for n in range(4)]
    assert examples[0].references == ("yes",) * 7 + ("no",) * 3
    assert (examples[0].task, examples[0].prompt, examples[0].tags) == ("vqa", "is it 262148000?", ("yes/no",))


def test_one_person_may_have_said_nothing(tmp_path):
    own = folder(tmp_path, lambda _, annotations: annotations[0]["answers"][9].update(answer=""))
    assert read(own, **KNOBS)[0].references[9] == ""


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda _, annotations: annotations[0]["answers"].pop(), "question_id 262148000: 9 answers, expected 10"),
        (
            lambda _, annotations: [answer.update(answer=" ") for answer in annotations[0]["answers"]],
            "question_id 262148000: empty answers only, expected 10",
        ),
        (lambda _, annotations: annotations[0]["answers"][2].pop("answer"), "question_id 262148000.answer: missing, expected text"),
        (lambda _, annotations: annotations.pop(), "annotations.json: nothing for 262148003, which "),
        (lambda questions, _: questions[1].update(question_id=262148000), "questions.json: id 262148000 occurs twice"),
        (lambda questions, _: questions[1].update(image_id=5), "COCO_val2014_000000000005.jpg: no such file; "),
        (lambda questions, _: questions[1].pop("image_id"), "questions.json: 262148001.image_id: missing, expected a number"),
        (lambda questions, _: questions[1].update(question=""), "questions.json: 262148001.question: empty, expected text"),
    ],
)
def test_bad_records_are_named(tmp_path, change, line):
    refused(folder(tmp_path, change), line, **KNOBS)
