"""The table of the ablations, worked out anew from rows, cards and curves."""

from __future__ import annotations

import pytest

from fastvlm.errors import UserError
from fastvlm.figures import draw
from fastvlm.metrics.ablations import training_seconds, write_ablations
from fastvlm.rows import write_json, write_rows
from fastvlm.table_file import read_table, write_table
from tests.rows_factory import decode_rows

KNOBS = {"seed": 1, "resamples": 50, "confidence": 0.9, "context_bin": 8}
DATASETS = ["scenes-caption", "scenes-description"]


def write_cell(folder, name, agreement, examples=6):
    """Network and decode rows of one cell."""
    write_json(folder / name / "card.json", {"agreement": agreement, "parameters": 100})
    curve = [{"stage": "x", "step": step, "seconds": seconds} for step, seconds in enumerate((0.5, 1.0, 0.25, 0.75))]
    write_table(folder / name / "learning_curve.csv", tuple(curve[0]), curve)
    for dataset in DATASETS:
        rows = decode_rows("fastvlm", examples, dataset=dataset, agreement=agreement)
        write_rows(
            folder / name / "decode" / f"{dataset}.jsonl", [row for row in rows if (row["exit_layer"], row["draft_length"]) == (1, 4)]
        )


def line(folder, factor, value, cell):
    rows = {"rows": str(folder / cell / "decode"), "default_rows": str(folder / "default" / "decode")}
    return {
        "model": "llava-small",
        "factor": factor,
        "value": value,
        "default": int(cell == "default"),
        "network": str(folder / cell),
        **rows,
    }


@pytest.fixture
def finished(tmp_path):
    write_cell(tmp_path, "default", 0.9)
    write_cell(tmp_path, "loss-kl", 0.5)
    lines = [
        line(tmp_path, "loss", "both", "default"),
        line(tmp_path, "loss", "kl", "loss-kl"),
        line(tmp_path, "examples", "32", "default"),
    ]
    write_ablations(KNOBS | {"datasets": DATASETS, "lines": lines}, tmp_path / "ablations.csv")
    return tmp_path


def test_a_line_a_factor_value_and_dataset(finished):
    records = read_table(finished / "ablations.csv")
    keys = [(record["factor"], record["value"], record["dataset"], record["default"]) for record in records]
    cells = [("loss", "both", 1), ("loss", "kl", 0), ("examples", "32", 1)]
    assert keys == [(factor, value, dataset, default) for factor, value, default in cells for dataset in DATASETS]
    assert {(record["agreement"], record["parameters"], record["draft_length"]) for record in records} == {(0.9, 100, 4), (0.5, 100, 4)}


def test_counts_and_speedups_are_those_of_the_rows(finished):
    records = {(record["value"], record["dataset"]): record for record in read_table(finished / "ablations.csv")}
    speedups = {}
    for value, agreement in (("both", 0.9), ("kl", 0.5)):
        rows = [
            row
            for row in decode_rows("fastvlm", 6, dataset=DATASETS[0], agreement=agreement)
            if row["exit_layer"] == 1 and row["draft_length"] == 4
        ]
        record = records[value, DATASETS[0]]
        drafted, accepted = (sum(triple[at] for row in rows for triple in row["passes"]) for at in (1, 2))
        passes = sum(len(row["passes"]) for row in rows)
        assert (record["drafted"], record["accepted"], record["target_passes"]) == (drafted, accepted, passes)
        assert record["acceptance_rate"] == pytest.approx(accepted / drafted, rel=1e-5)
        assert record["tokens_per_target_pass"] == pytest.approx(sum(row["output_tokens"] - 1 for row in rows) / passes, rel=1e-5)
        speedups[value] = sum(row["baseline_decode_seconds"] for row in rows) / sum(row["decode_seconds"] for row in rows)
        assert record["decode_speedup"] == pytest.approx(speedups[value], rel=1e-5)
        assert record["decode_speedup_low"] <= record["decode_speedup"] <= record["decode_speedup_high"]
    assert records["kl", DATASETS[0]]["speedup_over_default"] == pytest.approx(speedups["kl"] / speedups["both"], rel=1e-5)
    own = records["both", DATASETS[0]]
    assert (own["speedup_over_default"], own["speedup_over_default_low"], own["speedup_over_default_high"]) == (1, 1, 1)


def test_training_seconds_count_across_an_interruption(finished):
    assert {record["training_seconds"] for record in read_table(finished / "ablations.csv")} == {1.75}
    assert training_seconds([{"seconds": 0.0}, {"seconds": 2.5}]) == 2.5


def test_missing_rows_and_no_lines_are_refused(finished):
    (finished / "loss-kl/decode/scenes-caption.jsonl").unlink()
    knobs = KNOBS | {"datasets": DATASETS, "lines": [line(finished, "loss", "kl", "loss-kl")]}
    with pytest.raises(UserError, match=r"loss-kl/decode/scenes-caption\.jsonl: no such file"):
        write_ablations(knobs, finished / "again.csv")
    with pytest.raises(UserError, match="ablations: null, expected models, datasets, draft_length and factors"):
        write_ablations(knobs | {"lines": []}, finished / "again.csv")
    assert not (finished / "again.csv").exists()


def test_the_figure_shows_the_table_in_the_same_bytes_twice(finished):
    from fastvlm.figures.ablations import figure

    drawn = figure(finished)
    records = [record for record in read_table(finished / "ablations.csv") if record["factor"] == "loss"]
    axis = drawn.axes[0]
    heights = [patch.get_height() for patch in axis.patches]
    assert heights == [record["decode_speedup"] for dataset in DATASETS for record in records if record["dataset"] == dataset]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["both\n(default)", "kl"]
    assert "scenes" in drawn.get_suptitle() and axis.get_ylabel()
    for folder in ("a", "b"):
        draw("ablations", finished, finished / folder / "ablations.png")
    for kind in ("png", "pdf"):
        assert (finished / f"a/ablations.{kind}").read_bytes() == (finished / f"b/ablations.{kind}").read_bytes()
