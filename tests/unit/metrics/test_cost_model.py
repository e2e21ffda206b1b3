"""The cost stage: every pass size and drafter once, with what it adds."""

from __future__ import annotations

from fastvlm.data.example import write_manifest
from fastvlm.imitation.network import build_network
from fastvlm.imitation.store import fingerprint, save_network
from fastvlm.metrics import cost_model
from fastvlm.rows import read_rows
from tests import tiny


def test_rows(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(cost_model, "REPEATS", 3)
    manifest, folder = tmp_path / "scenes-caption.jsonl", tmp_path / "imitation"
    write_manifest(manifest, tiny.examples(1))
    network = build_network("transformer", tiny.load(checkpoint).decoder.config)
    count = sum(weight.numel() for weight in network.parameters())
    card = {"network": "transformer", "exit_layer": 2, "backbone": fingerprint(checkpoint), "parameters": count, "bytes": 4 * count}
    save_network(folder, network, card)
    knobs = {"model": "m", "device": "cpu", "dtype": "float32", "threads": 1, "draft_lengths": [1, 3], "exit_layers": {"ssd": [1, 3], "fastvlm": [2]}}
    cost_model.measure(knobs, checkpoint, manifest, [folder], tmp_path / "cost.jsonl")
    rows = read_rows(tmp_path / "cost.jsonl")
    assert [row["tokens_in_pass"] for row in rows[:4]] == [1, 2, 3, 4]
    assert [(row["method"], row["exit_layer"], row["added_parameters"]) for row in rows[4:]] == [("ssd", 1, 0), ("ssd", 3, 0), ("fastvlm", 2, count)]
    assert all(row.get("target_pass_seconds", row.get("draft_step_seconds")) > 0 for row in rows)
