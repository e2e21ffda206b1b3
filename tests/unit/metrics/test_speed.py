"""Speed-up as a ratio of sums, and the choice on validation."""

import numpy as np
import pytest

from fastvlm.errors import UserError
from fastvlm.metrics import speed
from fastvlm.rows import read_rows, write_rows
from fastvlm.table_file import read_table
from tests.rows_factory import decode_rows, write_decode_files

TIMES = {"prefill_seconds": 1.0, "baseline_prefill_seconds": 1.0}
ROWS = [
    TIMES | {"baseline_decode_seconds": 2.0, "decode_seconds": 1.0, "output_tokens": 11},
    TIMES | {"baseline_decode_seconds": 8.0, "decode_seconds": 1.0, "output_tokens": 31},
]
ONCE = np.ones((1, 2))


def test_speedup_is_a_ratio_of_sums_and_not_a_mean_of_ratios():
    assert speed.decode_speedup(ROWS, ONCE, 0.95).value == 5.0
    assert speed.e2e_speedup(ROWS, ONCE, 0.95).value == 3.0


def test_tokens_per_second_leaves_out_the_token_of_prefill():
    assert speed.decode_tokens_per_second(ROWS) == (10 + 30) / 2.0


@pytest.mark.parametrize("seconds", [0.0, -0.001])
def test_no_time_is_no_speed(seconds):
    rows = [ROWS[0] | {"decode_seconds": seconds}]
    assert speed.decode_tokens_per_second(rows) is None
    assert speed.decode_speedup(rows, np.ones((1, 1)), 0.95) == (None, None, None)


def slow_down(path, keep):
    """Make every setting but `keep` take twice plain decoding's time on validation, and `keep` a third of it."""
    rows = [row for row in read_rows(path) if row["split"] == "validation"]
    slow = [row | {"decode_seconds": row["baseline_decode_seconds"] * (1 / 3 if keep(row) else 2)} for row in rows]
    write_rows(path, [*slow, *(row for row in read_rows(path) if row["split"] == "test")])


def decode_both(folder, **fields):
    """Decode files with rows of both splits."""
    paths = write_decode_files(folder, split="validation", **fields)
    for path in paths:
        write_rows(path, [*read_rows(path), *decode_rows(path.parent.name, dataset=path.stem)])
    return paths


def test_select_takes_the_fastest_on_validation(tmp_path):
    paths = decode_both(tmp_path, methods=("ssd", "fastvlm"))
    slow_down(paths[0], lambda row: (row["exit_layer"], row["draft_length"]) == (8, 2))
    slow_down(paths[1], lambda row: (row["exit_layer"], row["draft_length"]) == (2, 1))
    speed.select(paths, tmp_path / "selection.csv")
    assert read_table(tmp_path / "selection.csv") == [
        {"model": "llava-small", "dataset": "scenes-caption", "method": method, "policy": "fixed", "exit_layer": layer}
        | {"draft_length": length, "decode_speedup": 3, "examples": 6, "chosen_on": "own", "best": 1}
        for method, layer, length in (("ssd", 8, 2), ("fastvlm", 2, 1))
    ]


def test_of_equals_select_takes_the_cheapest_to_draft(tmp_path):
    paths = decode_both(tmp_path, methods=("ssd",))
    slow_down(paths[0], lambda row: row["draft_length"] in (2, 8))
    speed.select(paths, tmp_path / "selection.csv")
    [record] = read_table(tmp_path / "selection.csv")
    assert (record["exit_layer"], record["draft_length"]) == (4, 2)


def test_methods_that_do_not_draft_are_listed_without_a_setting(tmp_path):
    speed.select(decode_both(tmp_path), tmp_path / "selection.csv")
    listed = {record["method"]: record for record in read_table(tmp_path / "selection.csv")}
    assert list(listed) == ["baseline", "generate", "ssd", "fastvlm"]
    assert listed["generate"]["exit_layer"] is listed["generate"]["draft_length"] is None


def test_test_rows_have_no_say_in_the_selection(tmp_path):
    with pytest.raises(UserError, match="no decode row of split 'validation'"):
        speed.select(write_decode_files(tmp_path), tmp_path / "selection.csv")
    assert not (tmp_path / "selection.csv").exists()


def test_a_dataset_without_validation_takes_what_is_fastest_over_the_others(tmp_path):
    paths = decode_both(tmp_path, methods=("ssd",), dataset="one") + decode_both(tmp_path, methods=("ssd",), dataset="two")
    for path in paths:
        slow_down(path, lambda row: (row["exit_layer"], row["draft_length"]) == (8, 4))
    paths += write_decode_files(tmp_path, methods=("ssd",), dataset="tested-only")
    speed.select(paths, tmp_path / "selection.csv")
    chosen = {record["dataset"]: record for record in read_table(tmp_path / "selection.csv")}
    alone = chosen["tested-only"]
    assert (alone["exit_layer"], alone["draft_length"], alone["chosen_on"], alone["examples"]) == (8, 4, "others", 12)
    assert chosen["one"]["chosen_on"] == "own" and chosen["one"]["examples"] == 6
