"""Speed-ups by the length of plain decoding's text, worked out anew from the rows."""

from __future__ import annotations

import pytest

from fastvlm.errors import UserError
from fastvlm.metrics.limits import bin_of, write_limits
from fastvlm.rows import read_rows
from fastvlm.table_file import read_table, write_table
from tests.rows_factory import write_decode_files

KNOBS = {"seed": 1, "resamples": 50, "confidence": 0.9}
CHOSEN = {"model": "llava-small", "policy": "fixed", "decode_speedup": 2.0, "examples": 4, "best": 1}


@pytest.mark.parametrize(
    ("tokens", "edges"), [(1, (1, 2)), (2, (1, 2)), (3, (3, 4)), (4, (3, 4)), (5, (5, 8)), (8, (5, 8)), (9, (9, 16)), (128, (65, 128))]
)
def test_bins_are_powers_of_two(tokens, edges):
    assert bin_of(tokens) == edges


@pytest.fixture
def experiment(tmp_path):
    """Paths of the rows of two datasets, and a selection that differs between them."""
    paths = write_decode_files(tmp_path, 20) + write_decode_files(tmp_path, 20, dataset="scenes-vqa", between=(1, 4))
    chosen = [
        ("scenes-caption", "ssd", 4, 2),
        ("scenes-caption", "fastvlm", 1, 8),
        ("scenes-vqa", "ssd", 8, 1),
        ("scenes-vqa", "fastvlm", 2, 1),
    ]
    keys = ("dataset", "method", "exit_layer", "draft_length")
    records = [CHOSEN | dict(zip(keys, of, strict=True)) for of in chosen]
    write_table(tmp_path / "selection.csv", tuple(records[0]), records)
    return tmp_path, paths


def ratio(rows, *spans):
    seconds = {of: sum(row[f"{of}{span}_seconds"] for row in rows for span in spans) for of in ("baseline_", "")}
    return seconds["baseline_"] / seconds[""]


def test_each_line_is_of_the_rows_in_its_bin_at_the_selected_setting(experiment):
    folder, paths = experiment
    write_limits(KNOBS, paths, folder / "selection.csv", folder / "limits.csv")
    records = read_table(folder / "limits.csv")
    rows = [row for path in paths for row in read_rows(path)]
    lengths = {(row["dataset"], row["example"]): row["output_tokens"] for row in rows if row["method"] == "baseline"}
    chosen = {record["dataset"]: (record["exit_layer"], record["draft_length"]) for record in records if record["method"] == "fastvlm"}
    assert chosen == {"scenes-caption": (1, 8), "scenes-vqa": (2, 1), "": (None, None)}
    assert {record["method"] for record in records} == {"ssd", "fastvlm"}
    for record in (record for record in records if record["method"] == "fastvlm"):
        datasets = [record["dataset"]] if record["dataset"] else ["scenes-caption", "scenes-vqa"]
        inside = [
            row
            for row in rows
            if row["method"] == "fastvlm"
            and row["dataset"] in datasets
            and (row["exit_layer"], row["draft_length"]) == chosen[row["dataset"]]
            and record["tokens_low"] <= lengths[row["dataset"], row["example"]] <= record["tokens_high"]
        ]
        assert len(inside) == record["examples"] > 0
        assert record["e2e_speedup"] == pytest.approx(ratio(inside, "prefill", "decode"), rel=1e-5)
        assert record["e2e_speedup_low"] <= record["e2e_speedup"] * 1.00001 <= record["e2e_speedup_high"] * 1.0001
        tokens = [lengths[row["dataset"], row["example"]] for row in inside]
        assert record["mean_output_tokens"] == pytest.approx(sum(tokens) / len(tokens), rel=1e-5)
    for dataset, total in (("scenes-caption", 20), ("scenes-vqa", 20), ("", 40)):
        assert sum(r["examples"] for r in records if r["dataset"] == dataset and r["method"] == "ssd") == total


def test_a_text_of_one_token_has_no_decode_speedup(tmp_path):
    paths = write_decode_files(tmp_path, 3, between=(1, 1))
    records = [
        CHOSEN | {"dataset": "scenes-caption", "method": method, "exit_layer": layer, "draft_length": 1}
        for method, layer in (("ssd", 4), ("fastvlm", 1))
    ]
    write_table(tmp_path / "selection.csv", tuple(records[0]), records)
    write_limits(KNOBS, paths, tmp_path / "selection.csv", tmp_path / "limits.csv")
    assert {record["decode_speedup"] for record in read_table(tmp_path / "limits.csv")} == {None}


def test_a_selection_that_does_not_fit_is_refused(experiment):
    folder, paths = experiment
    records = read_table(folder / "selection.csv")
    write_table(folder / "selection.csv", tuple(records[0]), records[1:])
    with pytest.raises(UserError, match=r"no line fits llava-small/scenes-caption/ssd"):
        write_limits(KNOBS, paths, folder / "selection.csv", folder / "limits.csv")
    assert not (folder / "limits.csv").exists()
