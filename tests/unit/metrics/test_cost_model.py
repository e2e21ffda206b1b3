"""The cost stage: every pass size and drafter once, seconds of each example, with what it adds."""

from __future__ import annotations

import numpy as np
import pytest

from fastvlm.data.example import write_manifest
from fastvlm.decoding.costs import costs_of
from fastvlm.errors import UserError
from fastvlm.imitation.network import build_network
from fastvlm.imitation.store import fingerprint, save_network
from fastvlm.metrics import cost_model
from fastvlm.rows import read_rows
from tests import tiny
from tests.rows_factory import cost_rows


@pytest.mark.parametrize(("examples", "measured"), [(1, 1), (5, 3)])
def test_rows(tmp_path, checkpoint, monkeypatch, examples, measured):
    monkeypatch.setattr(cost_model, "EXAMPLES", 3)
    manifest, folder = tmp_path / "scenes-caption.jsonl", tmp_path / "imitation"
    write_manifest(manifest, tiny.examples(examples))
    network = build_network("transformer", tiny.load(checkpoint).backbone.language.config)
    count = sum(weight.numel() for weight in network.parameters())
    card = {"network": "transformer", "layers": 1, "exit_layer": 2, "dtype": "float32", "backbone": fingerprint(checkpoint)}
    card |= {"parameters": count, "bytes": 4 * count}
    save_network(folder, network, card)
    exits = {"ssd": [1, 3], "ssd-joint": [2], "layerskip": [], "fastvlm": [2]}
    knobs = {"model": "m", "device": "cpu", "dtype": "float32", "threads": 1, "longest_draft": 3, "exit_layers": exits}
    cost_model.measure(knobs, checkpoint, [manifest], [folder], tmp_path / "cost.jsonl")
    rows = read_rows(tmp_path / "cost.jsonl")
    assert {row["dataset"] for row in rows} == {"scenes-caption"}
    passes = [(row["method"], row["exit_layer"], row["tokens_in_pass"]) for row in rows if "tokens_in_pass" in row]
    settings = [("ssd", 1), ("ssd", 3), ("ssd-joint", 2), ("fastvlm", 2)]
    assert passes == [("baseline", None, 1), *((*setting, tokens) for setting in settings for tokens in (1, 2, 3, 4))]
    drafts = [row for row in rows if "tokens_in_pass" not in row]
    assert [(row["method"], row["exit_layer"]) for row in drafts] == settings
    assert [row["added_parameters"] for row in drafts] == [0, 0, 0, count]
    for row in rows:
        seconds = {act: of for act, of in row.items() if act.endswith("_seconds")}
        # What is a difference of two timings may be nothing.
        assert all(len(of) == measured and min(of) >= 0 for of in seconds.values())
        assert min(seconds.get("target_pass_seconds", [1])) > 0


def test_a_round_is_what_its_acts_add_up_to():
    drafting, verifying = [2.0, 3.0, 4.0, 5.0], [10.0, 11.0, 12.0, 13.0]
    rounds = np.array([(3.5, 11.0), *zip(drafting, verifying, strict=True), (5.3, 13.0)])
    costs = cost_model._costs(9.0, rounds)
    assert costs.plain == 9 and costs.start == pytest.approx(0.5) and costs.look == pytest.approx(0.1)
    assert list(map(costs.round, range(4))) == pytest.approx([12, 14, 16, 18])


def test_costs_of_a_drafter_are_means_over_examples():
    rows = cost_rows()
    costs = costs_of(rows, "scenes-caption", "fastvlm", 1)
    assert costs.plain == pytest.approx(0.00225) and costs.step == pytest.approx(0.0004) and costs.start == 0
    assert costs.passes == pytest.approx(tuple((0.002 + 0.0001 * k + 0.0025) / 2 for k in range(1, 10)))
    assert costs.round(2) == pytest.approx(2 * 0.0004 + costs.passes[2])
    with pytest.raises(UserError, match="no measured cost of fastvlm at exit layer 3 on scenes-caption; run the cost stage again"):
        costs_of(rows, "scenes-caption", "fastvlm", 3)
