"""One line a model, dataset and method, which says what the other tables say."""

from __future__ import annotations

import pytest

from fastvlm.errors import UserError
from fastvlm.metrics.comparison import COLUMNS, write_comparison
from fastvlm.metrics.quality import COLUMNS as SCORES
from fastvlm.selection import choice, keep_selected, read_selection
from fastvlm.table_file import read_table, write_table
from tests.finished_tables import write_finished

BLIND = {"experiment": "scenes", "dataset": "scenes-caption", "examples": 12, "task": "caption"}
RANKED = {"experiment": "scenes", "model": "llava-small", "dataset": "scenes-caption", "examples": 12, "rounds": 12, "mrr": 0.5}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = write_finished(tmp_path_factory.mktemp("finished"))
    seen = {f"answer_right{end}": value for end, value in {"": 0.9, "_low": 0.8, "_high": 0.95}.items()}
    quality = [r | (seen if r["dataset"] == "scenes-caption" else {}) for r in read_table(folder / "quality.csv")]
    write_table(folder / "quality.csv", SCORES["quality"], quality)
    blind = BLIND | {"answer_right": 0.3, "answer_right_low": 0.2, "answer_right_high": 0.4, "cider": 0.1}
    write_table(folder / "chance.csv", SCORES["chance"], [blind])
    write_table(folder / "ranking.csv", SCORES["ranking"], [RANKED])
    write_comparison(folder, folder / "comparison.csv")
    return folder


def test_a_line_a_dataset_and_method_at_the_selected_setting(finished):
    records = read_table(finished / "comparison.csv", *COLUMNS)
    chosen = read_selection(finished / "selection.csv")
    speeds = {choice(r): r for r in keep_selected(read_table(finished / "speedup.csv"), chosen)}
    rates = {choice(r): r for r in read_table(finished / "acceptance.csv")}
    assert [choice(r) for r in records] == list(speeds)
    assert len(records) == 2 * 4
    for record in records:
        speed = speeds[choice(record)]
        for column in ("decode_speedup", "decode_speedup_high", "e2e_speedup_low", "equal_to_baseline", "examples", "policy"):
            assert record[column] == speed[column]
        assert record["mean_output_tokens"] == pytest.approx(speed["output_tokens"] / 12, rel=1e-5)
        rate = rates.get(choice(record), {})
        for column in ("acceptance_rate", "tokens_per_target_pass"):
            assert record[column] == rate.get(column)
        assert (record["bleu_4"], record["task"]) == (0.61, record["dataset"].removeprefix("scenes-"))


def test_the_verdict_says_both_spans_in_words(finished):
    verdicts = {r["method"]: r["verdict"] for r in read_table(finished / "comparison.csv") if r["dataset"] == "scenes-caption"}
    assert verdicts["fastvlm"] == "decode only: faster than plain decoding; end to end: faster than plain decoding"
    assert verdicts["generate"] == "decode only: slower than plain decoding; end to end: slower than plain decoding"


def test_ranking_and_chance_stand_in_plain_decoding_s_line_alone(finished):
    records = {(r["dataset"], r["method"]): r for r in read_table(finished / "comparison.csv")}
    plain = records["scenes-caption", "baseline"]
    assert (plain["mrr"], plain["chance_metric"], plain["chance_score"]) == (0.5, "answer_right", 0.3)
    assert plain["against_chance"] == "llava-small above chance, intervals apart"
    assert (records["scenes-caption", "fastvlm"]["mrr"], records["scenes-caption", "fastvlm"]["chance_score"]) == (None, None)
    other = records["scenes-description", "baseline"]
    assert (other["mrr"], other["chance_score"], other["against_chance"]) == (None, None, "")


def test_bleu_1_and_bleu_4_stand_side_by_side():
    scores = [column for column in COLUMNS if column.startswith("bleu")]
    assert scores[:6] == [f"bleu_{n}{end}" for n in (1, 4) for end in ("", "_low", "_high")]


def test_a_setting_without_scores_is_refused(finished, tmp_path):
    for path in finished.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    quality = [record for record in read_table(tmp_path / "quality.csv") if record["method"] != "fastvlm"]
    write_table(tmp_path / "quality.csv", SCORES["quality"], quality)
    with pytest.raises(UserError, match=r"quality.csv: no line for llava-small/scenes-caption/fastvlm at the selected setting"):
        write_comparison(tmp_path, tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()
