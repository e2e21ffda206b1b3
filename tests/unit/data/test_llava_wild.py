"""LLaVA-Bench in the wild: three files, joined by question and by image."""

from __future__ import annotations

import pytest

from fastvlm.data.benchmarks import read_examples
from tests.official_files import SPLITS, llava_wild, read, refused, shared, write

KNOBS = {
    "benchmark": "llava-wild", "images": "images",
    "questions": "questions.jsonl", "context": "context.jsonl", "answers": "answers_gpt4.jsonl",
}  # fmt: skip


def folder(tmp_path, files=None):
    return write(tmp_path / "own", files or llava_wild(), ("images/001.jpg", "images/002.jpg"))


def test_examples(tmp_path):
    first, second, third = read(folder(tmp_path), **KNOBS)
    assert (first.id, first.task, first.prompt, first.tags) == ("own-0", "description", "question 0?", ("conv",))
    assert (first.references, first.context) == (("answer 0",), "context of 001.jpg")
    assert first.image == second.image != third.image
    assert third.tags == ("complex",) and third.context == "context of 002.jpg"


def change(file, number, **values):
    files = llava_wild()
    files[file][number] |= values
    return files


def without(file, number):
    files = llava_wild()
    del files[file][number]
    return files


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (without("answers_gpt4.jsonl", 1), "answers_gpt4.jsonl: nothing for 1, which "),
        (without("context.jsonl", 1), "context.jsonl: nothing for '002.jpg', which "),
        (change("questions.jsonl", 2, question_id=1), "questions.jsonl: id 1 occurs twice, expected each id once"),
        (change("answers_gpt4.jsonl", 2, question_id=1), "answers_gpt4.jsonl: id 1 occurs twice, expected each id once"),
        (change("answers_gpt4.jsonl", 2, text=" "), "answers_gpt4.jsonl: line 3.text: empty, expected text"),
        (change("questions.jsonl", 1, category=None), "questions.jsonl: line 2.category: found NoneType, expected text"),
    ],
)
def test_bad_records_are_named(tmp_path, files, line):
    refused(folder(tmp_path, files), line, **KNOBS)


def test_a_line_that_is_not_json(tmp_path):
    own = folder(tmp_path)
    (own / "context.jsonl").write_text((own / "context.jsonl").read_text() + "\n{")
    refused(own, "context.jsonl: line 3: not JSON (", **KNOBS)


def test_a_file_that_is_not_utf8(tmp_path):
    own = folder(tmp_path)
    (own / "context.jsonl").write_bytes('{"image": "é"}'.encode("latin-1"))
    refused(own, "context.jsonl: not UTF-8 (", **KNOBS)


def test_real_questions(tmp_path):
    own = shared("llava-wild-sample")
    knobs = {"source": "files", "folder": str(own), **SPLITS, **KNOBS}
    examples = list(read_examples("own", knobs, 1, tmp_path / "own.jsonl"))
    assert len(examples) == 7 and len({example.image for example in examples}) == 3
    assert {tag for example in examples for tag in example.tags} == {"conv", "detail", "complex"}
