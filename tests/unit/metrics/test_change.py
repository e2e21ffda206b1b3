"""The change in quality of methods that may say something else than the model: paired, by hand, and only theirs."""

from __future__ import annotations

import numpy as np
import pytest

from fastvlm.data.example import Example
from fastvlm.metrics.captions import Scored
from fastvlm.metrics.change import tabulate
from fastvlm.metrics.runs import Setting

KNOBS = {"seed": 1, "resamples": 400, "confidence": 0.95}
ANSWERS = ("red", "red", "red", "", "red", "red")


def setting(method, exit_layer=None, dataset="d"):
    return Setting("e", "m", dataset, method, "", exit_layer, None)


def examples(task="question"):
    return {"d": {f"{n}": Example(f"{n}", "test", task, "?", ("red",), "", answer=answer) for n, answer in enumerate(ANSWERS)}}


def said(*texts):
    return "d", tuple((f"{n}", text) for n, text in enumerate(texts))


def test_right_answers_are_counted_where_the_answer_is_known_and_paired():
    texts = {
        setting("baseline"): said("red", "blue", "red", "one", "red", "red"),
        setting("ssd", 1): said("red", "blue", "red", "one", "red", "red"),
        setting("ssd-joint", 1): said("red", "red", "blue", "two", "blue", "red"),
    }
    [(changed, line)] = tabulate(KNOBS, texts, examples(), {})
    assert (changed.method, line["task"], line["examples"]) == ("ssd-joint", "question", 6)
    assert (line["change_metric"], line["original_score"], line["equal_to_original"]) == ("answer_right", 4 / 5, 2 / 6)
    # One gained, two lost, of five whose answer is known.
    assert line["quality_change"] == pytest.approx(-1 / 5)
    assert -0.8 <= line["quality_change_low"] < -1 / 5 < line["quality_change_high"] <= 0.6


def test_what_changes_all_alike_has_no_width():
    """Paired: whatever the examples score, a change that is the same in each is known exactly."""
    own, plain = said(*"abcdef"), said(*"ghijkl")
    cider = {plain: [0.1, 0.5, 2.0, 3.0, 0.0, 1.0], own: [0.3, 0.7, 2.2, 3.2, 0.2, 1.2]}
    scored = {of: Scored({}, {"cider": values}) for of, values in cider.items()}
    texts = {setting("baseline"): plain, setting("layerskip", 2): own, setting("exit-only", 1): plain}
    told = {"d": {key: Example(key, "test", "caption", "?", ("a",), "") for key in "012345"}}
    found = {changed.method: line for changed, line in tabulate(KNOBS, texts, told, scored)}
    line = found["layerskip"]
    assert (line["change_metric"], line["original_score"]) == ("cider", pytest.approx(np.mean(cider[plain])))
    assert [line[f"quality_change{end}"] for end in ("", "_low", "_high")] == pytest.approx([0.2] * 3)
    assert (found["exit-only"]["quality_change"], found["exit-only"]["equal_to_original"]) == (0, 1)
    assert line["equal_to_original"] == 0
