"""Predicted, measured and best possible speed-up, against sums done by hand."""

from __future__ import annotations

import pytest

from fastvlm.decoding.costs import Costs
from fastvlm.metrics.ceiling import predict, write_ceiling
from fastvlm.metrics.policies import write_policies
from fastvlm.metrics.speed import select
from fastvlm.rows import read_rows, write_rows
from fastvlm.table_file import read_table
from tests.rows_factory import decode_rows

KNOBS = {"seed": 1, "resamples": 200, "confidence": 0.95}
COSTS = Costs(10.0, 1.0, (10.5, 11.0, 12.0), 2.0)


def test_predicted_seconds_by_hand():
    rows = [{"output_tokens": 6, "passes": [[20, 2, 2], [23, 0, 0], [24, 1, 0]]}, {"output_tokens": 2, "passes": [[20, 0, 0]]}]
    # Plain: 5 + 1 tokens. Rounds: 2 steps and 12, a round without a draft, 1 step and 11; the other text was decoded plainly.
    assert predict(rows, COSTS) == pytest.approx(60 / (14 + 10.5 + 12 + 2 + 10))
    assert predict([{"output_tokens": 1, "passes": []}], COSTS) is None


@pytest.fixture
def finished(tmp_path):
    """SSD and FastVLM at fixed lengths and a policy of FastVLM's that takes 0.9 of the seconds of its best; an oracle at half of these."""
    paths = []
    for method in ("ssd", "fastvlm", "oracle"):
        rows = [row for split in ("validation", "test") for row in decode_rows(method.replace("oracle", "fastvlm"), split=split)]
        rows = [row | {"method": method, "decode_seconds": row["decode_seconds"] / (2 if method == "oracle" else 1)} for row in rows]
        if method == "fastvlm":
            longest = [row for row in rows if (row["exit_layer"], row["draft_length"]) == (1, 8)]
            rows += [row | {"policy": "goodput", "decode_seconds": row["decode_seconds"] * 0.9} for row in longest]
        paths.append(tmp_path / method / "scenes-caption.jsonl")
        write_rows(paths[-1], rows)
    select(paths, tmp_path / "selection.csv")
    return tmp_path, paths


def test_fractions_and_errors(finished):
    folder, paths = finished
    measured = [{"method": "baseline", "exit_layer": None, "tokens_in_pass": 1, "target_pass_seconds": [0.002]}]
    for of in {(row["method"], row["exit_layer"]): row for path in paths for row in read_rows(path)}:
        setting = dict(zip(("method", "exit_layer"), of, strict=True))
        measured.append(setting | {"draft_step_seconds": [0.0003], "draft_start_seconds": [0.0], "draft_look_seconds": [0.0]})
        measured += [setting | {"tokens_in_pass": k, "target_pass_seconds": [0.002]} for k in range(1, 10)]
    write_rows(folder / "cost.jsonl", ({"model": "llava-small", "dataset": "scenes-caption"} | row for row in measured))
    write_ceiling(KNOBS, paths, [folder / "cost.jsonl"], folder / "selection.csv", folder / "ceiling.csv")
    records = read_table(folder / "ceiling.csv")
    assert {record["method"] for record in records} == {"ssd", "fastvlm"}
    assert len(records) == 8 + 8 + 1
    for record in records:
        assert record["relative_error"] == pytest.approx(record["predicted_speedup"] / record["decode_speedup"] - 1, rel=1e-3)
    [chosen] = [record for record in records if record["fraction_of_oracle"]]
    assert chosen["policy"] == "goodput" and chosen["selected"] == 1
    assert chosen["fraction_of_oracle"] == pytest.approx(chosen["decode_speedup"] / chosen["oracle_speedup"], rel=1e-4)
    assert chosen["fraction_of_oracle_low"] <= chosen["fraction_of_oracle"] <= chosen["fraction_of_oracle_high"]


def test_a_policy_is_set_against_the_best_fixed_length(finished):
    folder, paths = finished
    write_policies(KNOBS, paths, folder / "selection.csv", folder / "policies.csv")
    records = {(record["method"], record["policy"]): record for record in read_table(folder / "policies.csv")}
    assert set(records) == {("ssd", "fixed"), ("fastvlm", "fixed"), ("fastvlm", "goodput"), ("oracle", "fixed")}
    goodput = records["fastvlm", "goodput"]
    assert goodput["against_best_fixed"] == pytest.approx(goodput["decode_speedup"] / goodput["best_fixed_speedup"], rel=1e-4)
    fixed = records["ssd", "fixed"]
    assert fixed["against_best_fixed"] <= 1
    itself = (fixed["exit_layer"], fixed["draft_length"]) == (fixed["best_fixed_exit_layer"], fixed["best_fixed_draft_length"])
    assert (fixed["verdict"] == "the best fixed length itself") == itself
