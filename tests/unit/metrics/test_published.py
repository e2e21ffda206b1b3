"""Published scores: on one scale with ours, with every known reason for a difference in the row."""

import pytest

from fastvlm.errors import UserError
from fastvlm.judging import table as judged_table
from fastvlm.metrics.published import COLUMNS, SCALES, Score, beside, published_rows, published_scores, write_published
from fastvlm.planning.facts import known_checkpoints
from fastvlm.table_file import KEY_COLUMNS, read_table, write_table

OPT, LLAVA, T5 = "Salesforce/blip2-opt-2.7b-coco", "llava-hf/llava-1.5-7b-hf", "Salesforce/blip2-flan-t5-xl-coco"


def of(rows, **fields):
    return [row for row in rows if all(row[key] == value for key, value in fields.items())]


def test_every_published_score_is_whole_and_on_the_scale_of_publications():
    assert len(published_scores()) > 60
    for score in published_scores():
        assert score.metric in SCALES and score.mark in "VS" and score.source and score.protocol
        assert 0 < score.value < (150 if score.metric == "cider" else 100)
        assert score.benchmark in ("coco", "nocaps", "mm-vet", "llava-wild", "vqav2")
        assert bool(score.judge) == (score.metric == "judge_score")
    keys = [(s.checkpoint, s.benchmark, s.metric, s.tag, s.source) for s in published_scores()]
    assert len(set(keys)) == len(keys)


def test_checkpoints_are_those_that_the_planner_knows():
    assert {score.checkpoint for score in published_scores()} <= known_checkpoints().keys() | {"Salesforce/blip2-flan-t5-xxl"}


def test_scores_are_found_by_checkpoint_and_benchmark():
    values = {(score.metric, score.tag): score.value for score in published_rows(T5, "nocaps")}
    assert (values["cider", "out-domain"], values["spice", ""]) == (124.8, 15.8)
    assert {score.metric for score in published_rows(LLAVA, "vqav2")} == {"vqa_accuracy"}
    assert published_rows(LLAVA, "coco") == published_rows("somebody/else", "coco") == []


def test_ours_is_put_on_their_scale():
    scores = [Score("opt", "coco", "bleu_4", "", 0.40, 5000), Score("opt", "coco", "cider", "", 1.40, 5000)]
    rows = of(beside(scores, {"opt": OPT}, {"coco": "coco"}), source="BLIP-2 paper, Table 3 (arXiv 2301.12597v3) [V]")
    assert [(row["metric"], row["ours"], row["published"], row["difference"]) for row in rows] == [
        ("bleu_4", pytest.approx(40), 43.7, pytest.approx(-3.7)),
        ("cider", pytest.approx(140), 145.8, pytest.approx(-5.8)),
    ]
    assert {row["note"] for row in rows} == {"different protocol: beam 5 against greedy"}
    assert {row["protocol_ours"] for row in rows} == {"greedy, n=5000"}
    assert "beam 5" in rows[0]["protocol_theirs"]


def test_a_part_of_the_benchmark_is_called_a_subset():
    scores = [Score("opt", "n", "cider", "", 1.0, 100), Score("opt", "n", "cider", "in-domain", 1.1, 20)]
    rows = of(beside(scores, {"opt": OPT}, {"n": "nocaps"}), metric="cider")
    assert [(row["tag"], row["examples"], row["published_examples"]) for row in rows] == [
        ("in-domain", 20, None), ("near-domain", None, None), ("out-domain", None, None), ("", 100, 4500),
    ]  # fmt: skip
    notes = {row["tag"]: row["note"] for row in rows}
    assert notes["in-domain"] == notes[""] == "different protocol: beam 5 against greedy; subset: 100 of 4500"
    assert notes["out-domain"].startswith("not scored here; ")


def test_a_judge_that_is_another_is_said():
    scores = [Score("llava", "w", "judge_score", "", 65.0, 60, judge="own-judge", wording="own", missing=2)]
    [row] = beside(scores, {"llava": LLAVA}, {"w": "llava-wild"})
    assert (row["ours"], row["difference"]) == (65.0, pytest.approx(-0.4))
    assert row["protocol_ours"] == "greedy, n=60, judge own-judge, own wording"
    assert row["note"] == (
        "different protocol: judge at temperature 0.2 against 0; different judge: gpt-4-0314 against own-judge; "
        "different wording: the benchmark's against our own; 2 of 60 not judged"
    )


def test_the_same_protocol_has_no_note():
    scores = [Score("llava", "m", "judge_score", "", 31.0, 218, judge="gpt-4-0613", wording="official")]
    rows = of(beside(scores, {"llava": LLAVA}, {"m": "mm-vet"}), source="LLaVA, docs/MODEL_ZOO.md [V]")
    assert [row["note"] for row in rows] == [""]


def write_tables(folder, judged=()):
    key = {"experiment": "e", "policy": "", "exit_layer": None, "draft_length": None}
    plain = key | {"model": "llava", "method": "baseline"}
    columns = (*KEY_COLUMNS, "cider", "vqa_accuracy")
    quality = [
        plain | {"dataset": "v", "examples": 500, "vqa_accuracy": 0.77},
        plain | {"dataset": "v", "examples": 500, "vqa_accuracy": 0.1, "method": "exit-only"},
        plain | {"dataset": "m", "examples": 218},
    ]
    write_table(folder / "quality.csv", columns, quality)
    write_table(
        folder / "quality_by_tag.csv", (*columns, "tag"), [plain | {"dataset": "v", "examples": 9, "vqa_accuracy": 1.0, "tag": "number"}]
    )
    write_table(folder / "judged.csv", judged_table.COLUMNS, judged)


KNOBS = {"models": {"llava": LLAVA}, "datasets": {"v": "vqav2", "m": "mm-vet"}}


def test_the_table_is_joined_from_the_experiment_s_tables(tmp_path):
    judged = {"model": "llava", "dataset": "m", "method": "baseline", "judged": 217, "missing": 1, "rule": "mm-vet", "wording": "official"}
    judged |= {"judge": "gpt-4-0613", "date": "2026-01-02", "note": "1 without a score: timed out", "examples": 218}
    write_tables(tmp_path, [judged | {"tag": "", "score": 30.0}, judged | {"tag": "ocr", "score": 20.5, "method": "fastvlm"}])
    write_published(KNOBS, tmp_path, tmp_path / "published.csv")
    rows = read_table(tmp_path / "published.csv", *COLUMNS)
    [vqa] = of(rows, dataset="v")
    assert (vqa["ours"], vqa["published"], vqa["difference"], vqa["examples"]) == (77, 78.5, -1.5, 500)
    assert vqa["note"] == "different protocol: test-dev against validation"
    whole = of(rows, dataset="m", tag="", source="LLaVA, docs/MODEL_ZOO.md [V]")
    assert [(row["ours"], row["published"], row["note"]) for row in whole] == [(30, 31.1, "1 of 218 not judged")]
    assert [row["ours"] for row in of(rows, dataset="m", tag="ocr")] == [None]


def test_without_a_judge_the_row_says_that_nothing_was_scored(tmp_path):
    write_tables(tmp_path)
    write_published(KNOBS, tmp_path, tmp_path / "published.csv")
    rows = of(read_table(tmp_path / "published.csv"), dataset="m", tag="")
    assert [(row["published"], row["ours"]) for row in rows] == [(31.1, None), (31.2, None)]
    assert all(row["note"].startswith("not scored here") for row in rows)


def test_models_that_nobody_published_give_a_header(tmp_path):
    write_tables(tmp_path)
    write_published({"models": {}, "datasets": {}}, tmp_path, tmp_path / "published.csv")
    assert (tmp_path / "published.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_an_unknown_benchmark_is_refused(tmp_path):
    with pytest.raises(UserError, match="dataset 'v': found benchmark 'vqa', expected one of coco, llava-wild, mm-vet, nocaps, vqav2"):
        write_published({"models": {}, "datasets": {"v": "vqa"}}, tmp_path, tmp_path / "published.csv")


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"quality\.csv: no such table"):
        write_published(KNOBS, tmp_path, tmp_path / "published.csv")
