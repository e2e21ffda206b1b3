"""MM-Vet: capabilities are tags, alternatives are references that join to the published answer again."""

from __future__ import annotations

import json

import pytest

from fastvlm.data.benchmarks import read_examples
from tests.official_files import HAN, SPLITS, mm_vet, read, refused, shared, write

KNOBS = {"benchmark": "mm-vet", "questions": "mm-vet.json", "images": "images"}


def folder(tmp_path, content=None):
    return write(tmp_path / "own", {"mm-vet.json": content or mm_vet()}, [f"images/v1_{n}.png" for n in range(3)])


def test_examples(tmp_path):
    first, second, third = read(folder(tmp_path), **KNOBS)
    assert (first.id, first.task, first.prompt, first.tags) == ("own-v1_0", "question", "question 0?", ("ocr", "math"))
    assert second.references == ("left<AND>a cat ", "right<AND>a cat")
    assert third.references == (HAN,)


def change(key, value):
    content = mm_vet()
    content["v1_1"][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (change("answer", ""), "mm-vet.json: v1_1.answer: empty, expected text"),
        (change("answer", "a<OR> "), "mm-vet.json: v1_1: an empty reference; expected one or more texts"),
        (change("capability", "ocr,rec"), "mm-vet.json: v1_1.capability: found str, expected a list"),
        (change("capability", []), "mm-vet.json: v1_1: no reference; expected"),
        (change("imagename", "v1_9.png"), "v1_9.png: no such file; "),
        (change("question", None), "mm-vet.json: v1_1.question: found NoneType, expected text"),
        ([], "mm-vet.json: found list, expected mm-vet.json, {"),
    ],
)
def test_bad_records_are_named(tmp_path, content, line):
    own = folder(tmp_path)
    (own / "mm-vet.json").write_text(json.dumps(content))
    refused(own, line, **KNOBS)


def test_a_question_that_occurs_twice(tmp_path):
    own = folder(tmp_path)
    text = json.dumps(mm_vet())
    (own / "mm-vet.json").write_text(text[:-1] + ', "v1_0": ' + json.dumps(mm_vet()["v1_0"]) + "}")
    refused(own, "mm-vet.json: key 'v1_0' occurs twice in one record, expected each key once", **KNOBS)


def test_real_questions(tmp_path):
    own = shared("mm-vet-sample")
    knobs = {"source": "files", "folder": str(own), **SPLITS, **KNOBS}
    examples = {example.id: example for example in read_examples("own", knobs, 1, tmp_path / "own.jsonl")}
    published = json.loads((own / "mm-vet.json").read_text())
    assert examples.keys() == {f"own-{identity}" for identity in published}
    for identity, record in published.items():
        assert "<OR>".join(examples[f"own-{identity}"].references) == record["answer"]
        assert list(examples[f"own-{identity}"].tags) == record["capability"]
