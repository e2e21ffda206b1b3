"""Geometric means over models and datasets, against products done by hand."""

from __future__ import annotations

import pytest

from fastvlm.metrics.means import COLUMNS, write_means
from fastvlm.metrics.speed import select
from fastvlm.rows import read_rows, write_rows
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import read_table
from fastvlm.tables import write_tables
from tests.finished_tables import KNOBS, write_stand_ins
from tests.rows_factory import TUNED, cost_rows, write_decode_files

MODELS = ("llava-small", "blip2-opt-small")
DATASETS = {"scenes-caption": "caption", "scenes-description": "description", "scenes-vqa": "vqa"}


def write_experiment(folder, between=None):
    """Decode rows of two models and three datasets, one of one-word answers, and what is made of them."""
    paths, manifests = [], [write_stand_ins(folder / f"{name}.jsonl", task, 6) for name, task in DATASETS.items()]
    for model in MODELS:
        for dataset in DATASETS:
            lengths = {"between": between or (1, 4)} if dataset == "scenes-vqa" else {}
            paths += write_decode_files(folder, 6, model=model, dataset=dataset, **lengths)
            paths += write_decode_files(folder / "validation", 4, TUNED, "validation", model=model, dataset=dataset, **lengths)
    select([path for path in paths if path.parent.name in TUNED], folder / "selection.csv")
    write_rows(folder / "cost.jsonl", [row for model in MODELS for dataset in DATASETS for row in cost_rows(model, dataset)])
    test = [path for path in paths if "validation" not in path.parts]
    write_tables(KNOBS, test, [folder / "cost.jsonl"], folder / "selection.csv", folder)
    write_means(KNOBS, test, manifests, folder / "selection.csv", folder)
    return folder, test, manifests


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("means"))[0]


def means(folder):
    return {(r["model"], r["dataset"], r["method"]): r for r in read_table(folder / "geometric_means.csv", *COLUMNS)}


def product_of(folder, span, method, keep):
    cells = keep_selected(read_table(folder / "speedup.csv"), read_selection(folder / "selection.csv"))
    values = [record[f"{span}_speedup"] for record in cells if record["method"] == method and keep(record)]
    product = 1
    for value in values:
        product *= value
    return product ** (1 / len(values)), len(values)


@pytest.mark.parametrize("method", ["baseline", "generate", "ssd", "fastvlm"])
@pytest.mark.parametrize("span", ["decode", "e2e"])
def test_each_line_is_the_geometric_mean_of_its_cells_at_the_selected_setting(finished, method, span):
    table = means(finished)
    texts = ("scenes-caption", "scenes-description")
    scopes = {("", ""): lambda r: r["dataset"] in texts}
    scopes |= {(model, ""): lambda r, model=model: r["model"] == model and r["dataset"] in texts for model in MODELS}
    scopes |= {("", dataset): lambda r, dataset=dataset: r["dataset"] == dataset for dataset in DATASETS}
    assert {key[:2] for key in table} == set(scopes)
    for scope, keep in scopes.items():
        value, cells = product_of(finished, span, method, keep)
        record = table[(*scope, method)]
        assert (record[f"{span}_speedup"], record["cells"]) == (pytest.approx(value, rel=1e-4), cells)
        assert record[f"{span}_speedup_low"] <= record[f"{span}_speedup"] * 1.0001 <= record[f"{span}_speedup_high"] * 1.0002


def test_words_follow_the_intervals(finished):
    table = means(finished)
    assert table["", "", "fastvlm"]["verdict"].startswith("decode only: faster than plain decoding")
    assert table["", "", "generate"]["verdict"].startswith("decode only: slower than plain decoding")
    overs = {scope: table[(*scope, "ssd")]["over"] for scope in (("", ""), ("llava-small", ""), ("", "scenes-vqa"))}
    assert list(overs.values()) == ["models and datasets of texts", "datasets of texts", "models"]


def test_a_mean_of_several_cells_has_a_narrower_interval_than_they_have(finished):
    table = means(finished)
    reach = {key: record["decode_speedup_high"] / record["decode_speedup_low"] for key, record in table.items()}
    assert reach["", "", "fastvlm"] < max(reach[model, "", "fastvlm"] for model in MODELS)


def test_where_nothing_was_decoded_a_cell_does_not_count(tmp_path):
    folder, *_ = write_experiment(tmp_path, between=(1, 1))
    record = means(folder)["", "scenes-vqa", "fastvlm"]
    assert (record["cells"], record["decode_speedup"], record["e2e_speedup"]) == (0, None, None)
    assert record["verdict"] == "decode only: not measured; end to end: not measured"


def test_ranks_follow_the_speedups_and_leave_out_what_does_not_compete(finished):
    cells = keep_selected(read_table(finished / "speedup.csv"), read_selection(finished / "selection.csv"))
    records = read_table(finished / "ranks.csv")
    assert len(records) == 6 * 2
    for model in MODELS:
        for dataset in DATASETS:
            here = [r for r in records if (r["model"], r["dataset"]) == (model, dataset)]
            assert {r["method"] for r in here} == {"ssd", "fastvlm"}
            known = {r["method"]: r for r in cells if (r["model"], r["dataset"]) == (model, dataset)}
            order = sorted(("ssd", "fastvlm"), key=lambda method: -known[method]["decode_speedup"])
            assert [r["rank"] for method in order for r in here if r["method"] == method] == [1, 2]
            assert [r["best"] for method in order for r in here if r["method"] == method] == [1, 0]
            for record in here:
                speed = known[record["method"]]
                assert all(record[column] == speed[column] for column in ("decode_speedup", "decode_speedup_low", "decode_speedup_high"))
            [ours] = [r for r in here if r["method"] == "fastvlm"]
            assert (ours["against_fastvlm"], ours["paired_verdict"]) == (None, "")


def test_a_rival_that_is_a_little_faster_each_time_is_ahead_in_pairs_alone(tmp_path, capsys):
    """Its interval overlaps FastVLM's, whose examples differ more among each other than the two methods do."""
    _, paths, manifests = write_experiment(tmp_path)
    rows = {path: read_rows(path) for path in paths if path.parent.name in TUNED}
    chosen = {
        (r["model"], r["dataset"], r["method"]): (r["exit_layer"], r["draft_length"]) for r in read_selection(tmp_path / "selection.csv")
    }
    for path, ssd in rows.items():
        if path.parent.name == "ssd":
            key = ssd[0]["model"], ssd[0]["dataset"]
            ours = rows[path.parents[1] / "fastvlm" / path.name]
            seconds = {
                row["example"]: row["decode_seconds"]
                for row in ours
                if (row["exit_layer"], row["draft_length"]) == chosen[(*key, "fastvlm")]
            }
            write_rows(path, (row | {"decode_seconds": seconds[row["example"]] * 0.99} for row in ssd))
    capsys.readouterr()
    write_means(KNOBS, paths, manifests, tmp_path / "selection.csv", tmp_path)
    [record] = [
        r for r in read_table(tmp_path / "ranks.csv") if (r["model"], r["dataset"], r["method"]) == ("llava-small", "scenes-caption", "ssd")
    ]
    assert (record["rank"], record["best"], record["paired_verdict"], record["unpaired_verdict"]) == (
        1,
        1,
        "faster than fastvlm",
        "intervals overlap",
    )
    assert record["against_fastvlm"] == pytest.approx(1 / 0.99, rel=1e-4)
    assert (
        "llava-small/scenes-caption: ssd is faster than fastvlm, 1.01 [1.01, 1.01] paired; unpaired: intervals overlap"
        in capsys.readouterr().out
    )


def test_without_fastvlm_there_is_nothing_to_be_behind(tmp_path, capsys):
    _, paths, manifests = write_experiment(tmp_path)
    capsys.readouterr()
    write_means(KNOBS, [path for path in paths if path.parent.name != "fastvlm"], manifests, tmp_path / "selection.csv", tmp_path)
    assert {(r["method"], r["rank"], r["paired_verdict"]) for r in read_table(tmp_path / "ranks.csv")} == {("ssd", 1, "")}
    assert not capsys.readouterr().out.strip()
