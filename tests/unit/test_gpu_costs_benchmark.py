"""The benchmark of real sizes, at toy sizes and on the CPU: that it runs, and that what it supposes follows from what it measured."""

from __future__ import annotations

import json

import pytest

from benchmarks import gpu_costs
from fastvlm.models.architectures import configuration
from tests import tiny


@pytest.fixture
def toys(monkeypatch):
    for family in tiny.FAMILIES:
        monkeypatch.setitem(gpu_costs.MODELS, family, lambda family=family: configuration(tiny.knobs(family), 300, tiny.LAYERS))
    monkeypatch.setattr(gpu_costs, "COPIED", 1000)


def test_it_measures_every_family(toys, tmp_path, capsys):
    output = tmp_path / "costs.json"
    gpu_costs.main(output, tokens=10, dtype="float32", device="cpu")
    models = json.loads(output.read_text())["models"]
    assert [row["family"] for row in models] == list(tiny.FAMILIES)
    for row in models:
        assert row["same_as_generate"] == 1
        assert all(one["same_text"] for one in row["oracle"])
        assert len(row["pass_seconds"]) == gpu_costs.LONGEST + 1
        assert row["prompt_tokens"] == (1 if row["family"] == "blip2-t5" else gpu_costs.WORDS + {"llava": 9, "blip2-opt": 5}[row["family"]])
    assert capsys.readouterr().out.count("if 90% of drafts stood") == 3


def test_a_supposed_gain_follows_from_the_costs():
    costs = {"pass_seconds": [2.0] + [3.0] * gpu_costs.LONGEST, "draft_seconds": {"1": 0.5, "4": 1.0}}
    gain, exit_layer, length = gpu_costs.expected(costs, 0.5)
    assert (exit_layer, length) == ("1", 2)
    assert gain == pytest.approx((1 + 0.5 + 0.25) * 2 / (2 * 0.5 + 3))


def test_drafts_that_never_stand_gain_nothing():
    costs = {"pass_seconds": [2.0] * (gpu_costs.LONGEST + 1), "draft_seconds": {"1": 0.5}}
    assert gpu_costs.expected(costs, 0.0)[0] == pytest.approx(2 / 2.5)
