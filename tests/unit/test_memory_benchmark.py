"""The benchmark of memory at toy size: that it makes what it says, and says what it measures."""

from __future__ import annotations

import json
import sys

import pytest
import torch
import typer

from benchmarks import load_and_decode, memory, random_llava
from fastvlm.models.weights import load_model

SMALL = {"hidden": 32, "intermediate": 64, "heads": 4, "vision_hidden": 16, "vision_layers": 1, "image_size": 28}
FOUND = dict.fromkeys(memory.BYTES, 0) | {"checkpoint_bytes": 1_000_000_000, "cache_bytes": 1000}
LIMIT = 1_750_001_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoint of the benchmark's making."""
    monkeypatch.setattr(random_llava, "KNOBS", random_llava.KNOBS | SMALL)
    monkeypatch.setattr(random_llava, "ROWS", 400)
    random_llava.save(tmp_path, 60_000, torch.float32)
    return tmp_path


def test_checkpoint_is_as_large_as_asked_and_in_a_file_a_layer(folder):
    model = load_model(folder, torch.bfloat16)
    layers = len(model.model.language_model.layers)
    assert 60_000 <= model.num_parameters() < 60_000 + 2 * model.num_parameters() / layers
    assert len(list(folder.glob("*.safetensors"))) == layers + 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_measures_weights_cache_and_peak(folder):
    found = load_and_decode.measure(folder, "bfloat16")
    assert set(found) == set(memory.BYTES)
    assert found["checkpoint_bytes"] == 2 * load_model(folder, torch.bfloat16).num_parameters()
    assert found["cache_bytes"] > 0
    assert found["peak_bytes"] >= found["import_bytes"] > 0


@pytest.mark.parametrize(("peak", "within"), [(LIMIT, True), (LIMIT + 1, False)])
def test_verdict_is_that_of_the_limit(peak, within, tmp_path, monkeypatch, capsys):
    answers = type("Done", (), {"stdout": json.dumps(FOUND | {"peak_bytes": peak})})
    monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: answers)
    monkeypatch.setattr(memory.random_llava, "save", lambda *_: None)
    with pytest.raises(typer.Exit) as ended:
        memory.main(2.0, tmp_path / "memory.csv")
    assert ended.value.exit_code == (not within)
    assert ("ABOVE" in capsys.readouterr().out) == (not within)
    rows = (tmp_path / "memory.csv").read_text().splitlines()
    assert [row.split(",")[-2:] for row in rows[1:]] == [[str(LIMIT), str(int(within))]] * 3
