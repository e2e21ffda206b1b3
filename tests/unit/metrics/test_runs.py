"""No table comes from rows that do not hold together."""

import json
import math
import random

import pytest

from fastvlm.errors import UserError
from fastvlm.metrics.runs import SECONDS, read_runs
from fastvlm.rows import read_rows, write_rows
from tests.rows_factory import GRID, decode_rows, write_decode_files


def change(path, edit):
    write_rows(path, edit(read_rows(path)))


def test_settings_come_in_order_and_examples_are_paired(tmp_path):
    paths = write_decode_files(tmp_path)
    for path in paths:
        change(path, lambda rows: random.Random(0).sample(rows, len(rows)))
    runs = read_runs(paths, "test")
    assert [(s.method, s.exit_layer, s.draft_length) for s in runs] == [(m, *knobs) for m, grid in GRID.items() for knobs in grid]
    orders = {tuple(row["example"] for row in rows) for rows in runs.values()}
    assert len(orders) == 1
    assert all((row["exit_layer"], row["draft_length"]) == setting[-2:] for setting, rows in runs.items() for row in rows)


@pytest.mark.parametrize("method", ["baseline", "fastvlm"])
def test_a_missing_example_is_refused(tmp_path, method):
    paths = write_decode_files(tmp_path)
    change(next(path for path in paths if path.parent.name == method), lambda rows: rows[:-1])
    with pytest.raises(UserError, match=rf"llava-small/scenes-caption/{method}.*no row for example 'test-5' \(5 of 6 examples\)"):
        read_runs(paths, "test")


def test_a_doubled_example_is_refused(tmp_path):
    paths = write_decode_files(tmp_path)
    change(paths[2], lambda rows: [*rows, rows[0]])
    with pytest.raises(UserError, match="ssd exit layer 4 draft length 1: example 'test-0' stands twice"):
        read_runs(paths, "test")


def test_a_missing_draft_length_is_refused(tmp_path):
    paths = write_decode_files(tmp_path)
    change(paths[2], lambda rows: [row for row in rows if (row["exit_layer"], row["draft_length"]) != (8, 4)])
    with pytest.raises(UserError, match="ssd exit layer 8 draft length 4: no row"):
        read_runs(paths, "test")


def test_a_method_missing_on_one_dataset_is_refused(tmp_path):
    paths = write_decode_files(tmp_path) + write_decode_files(
        tmp_path, dataset="scenes-description", methods=("baseline", "ssd", "generate")
    )
    with pytest.raises(UserError, match="llava-small/scenes-description: no row of method 'fastvlm'"):
        read_runs(paths, "test")


def test_a_split_is_read_apart_from_the_other(tmp_path):
    paths = write_decode_files(tmp_path, split="validation", examples=3)
    with pytest.raises(UserError, match="no decode row of split 'test' in 4 files"):
        read_runs(paths, "test")
    both = [row for split, examples in (("validation", 3), ("test", 6)) for row in decode_rows("ssd", examples, split=split)]
    write_rows(paths[2], both)
    assert {len(rows) for rows in read_runs([paths[2]], "test").values()} == {6}
    assert {len(rows) for rows in read_runs([paths[2]], "validation").values()} == {3}


@pytest.mark.parametrize("field", SECONDS)
@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_an_impossible_time_is_refused(tmp_path, field, seconds):
    paths = write_decode_files(tmp_path)
    change(paths[1], lambda rows: [rows[0], rows[1] | {field: seconds}, *rows[2:]])
    with pytest.raises(UserError, match=r"generate/scenes-caption.jsonl: line 2 has a time"):
        read_runs(paths, "test")


def test_the_noise_of_a_difference_is_a_time(tmp_path):
    paths = write_decode_files(tmp_path)
    change(paths[1], lambda rows: [row | {"prefill_seconds": 0.01, "decode_seconds": -0.001} for row in rows])
    assert read_runs(paths, "test")


def test_a_row_without_a_field_is_refused(tmp_path):
    paths = write_decode_files(tmp_path)
    change(paths[0], lambda rows: [{k: v for k, v in row.items() if k != "passes"} for row in rows])
    with pytest.raises(UserError, match=r"baseline/scenes-caption.jsonl: line 1 has no 'passes'"):
        read_runs(paths, "test")


def test_a_file_cut_short_is_refused(tmp_path):
    paths = write_decode_files(tmp_path)
    paths[0].write_text(json.dumps(read_rows(paths[0])[0])[:-9])
    with pytest.raises(UserError, match=r"baseline/scenes-caption.jsonl: not JSON lines"):
        read_runs(paths, "test")


@pytest.mark.parametrize(
    ("prepare", "message"), [(lambda path: path.unlink(), "no such file"), (lambda path: path.write_text(""), "no row")]
)
def test_an_absent_or_empty_file_is_refused(tmp_path, prepare, message):
    paths = write_decode_files(tmp_path)
    prepare(paths[3])
    with pytest.raises(UserError, match=rf"fastvlm/scenes-caption.jsonl: {message}"):
        read_runs(paths, "test")
