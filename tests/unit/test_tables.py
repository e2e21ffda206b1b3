"""The tables: columns as named, counts as in the rows, ratios as views over the counts, same bytes twice."""

import json

import pytest

from fastvlm.errors import UserError
from fastvlm.rows import read_rows, write_rows
from fastvlm.table_file import KEY_COLUMNS, read_table
from fastvlm.tables import COLUMNS, write_tables
from tests.finished_tables import KNOBS, write_finished
from tests.rows_factory import TUNED, cost_rows, write_decode_files

# Of the design page, word for word.
DESIGN = {
    "speedup": "output_tokens,decode_speedup,decode_speedup_low,decode_speedup_high,e2e_speedup,e2e_speedup_low,e2e_speedup_high,"
    "verdict,decode_tokens_per_second,equal_to_baseline,claim",
    "speedup_by_machine": "machine,output_tokens,decode_speedup,decode_speedup_low,decode_speedup_high,e2e_speedup,e2e_speedup_low,"
    "e2e_speedup_high,verdict,decode_tokens_per_second,equal_to_baseline,claim",
    "acceptance": "drafted,accepted,acceptance_rate,acceptance_rate_low,acceptance_rate_high,target_passes,tokens_per_target_pass",
    "acceptance_by_context": "context_low,context_high,drafted,accepted,acceptance_rate,acceptance_rate_low,acceptance_rate_high",
    "acceptance_by_position": "position,drafted,accepted,acceptance_rate,acceptance_rate_low,acceptance_rate_high",
    "accepted_length": "accepted,passes",
    "draft_length_by_context": "context_low,context_high,passes,drafted,mean_draft_length",
    "precision": "dtype,claim,different,different_share,first_difference_median,first_difference_min,logit_gap_median,logit_gap_max",
    "cost": "tokens_in_pass,draft_step_seconds,draft_step_seconds_low,draft_step_seconds_high,"
    "draft_start_seconds,draft_start_seconds_low,draft_start_seconds_high,"
    "draft_look_seconds,draft_look_seconds_low,draft_look_seconds_high,"
    "target_pass_seconds,target_pass_seconds_low,target_pass_seconds_high,added_parameters,added_bytes",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_finished(tmp_path_factory.mktemp("finished"))


def key(record):
    return tuple(record[column] for column in KEY_COLUMNS)


@pytest.mark.parametrize("table", DESIGN)
def test_columns_are_the_design_s(finished, table):
    header = (finished / f"{table}.csv").read_text().splitlines()[0]
    assert header == ",".join([*KEY_COLUMNS, DESIGN[table]])


def test_every_setting_has_one_line_and_generate_no_acceptance(finished):
    speedups, rates = read_table(finished / "speedup.csv"), read_table(finished / "acceptance.csv")
    assert len({key(record) for record in speedups}) == len(speedups) == 2 * 18
    assert [key(record) for record in rates] == [key(record) for record in speedups if record["method"] != "generate"]
    assert {record["examples"] for record in speedups} == {12}


def test_plain_decoding_is_one_token_a_pass_and_drafts_nothing(finished):
    for record in read_table(finished / "acceptance.csv"):
        if record["method"] == "baseline":
            assert (record["tokens_per_target_pass"], record["drafted"], record["acceptance_rate"]) == (1, 0, None)
        else:
            assert 1 < record["tokens_per_target_pass"] <= record["draft_length"] + 1


@pytest.mark.parametrize("table", ["acceptance_by_position", "acceptance_by_context"])
def test_counts_of_a_view_sum_to_the_whole(finished, table):
    summed = {}
    for record in read_table(finished / f"{table}.csv"):
        drafted, accepted = summed.get(key(record), (0, 0))
        summed[key(record)] = (drafted + record["drafted"], accepted + record["accepted"])
    whole = {
        key(record): (record["drafted"], record["accepted"]) for record in read_table(finished / "acceptance.csv") if record["drafted"]
    }
    assert summed == whole


def test_accepted_lengths_are_a_view_of_the_same_passes(finished):
    passes, accepted = {}, {}
    for record in read_table(finished / "accepted_length.csv"):
        passes[key(record)] = passes.get(key(record), 0) + record["passes"]
        accepted[key(record)] = accepted.get(key(record), 0) + record["passes"] * record["accepted"]
    for record in read_table(finished / "acceptance.csv"):
        if record["draft_length"]:
            assert (passes[key(record)], accepted[key(record)]) == (record["target_passes"], record["accepted"])


def test_rates_are_views_and_lie_in_their_intervals(finished):
    for table in ("acceptance", "acceptance_by_position", "acceptance_by_context"):
        for record in read_table(finished / f"{table}.csv"):
            if record["drafted"]:
                assert record["acceptance_rate"] == pytest.approx(record["accepted"] / record["drafted"], rel=1e-5)
                assert record["acceptance_rate_low"] <= record["acceptance_rate"] <= record["acceptance_rate_high"]


def test_every_speedup_is_said_in_words_as_its_interval_lies(finished):
    for record in read_table(finished / "speedup.csv"):
        said = dict(part.split(": ") for part in record["verdict"].split("; "))
        for name, span in (("decode only", "decode"), ("end to end", "e2e")):
            low, high = record[f"{span}_speedup_low"], record[f"{span}_speedup_high"]
            word = "faster" if low > 1 else "slower" if high < 1 else "not distinguishable"
            assert said[name].startswith(word)


def test_contexts_come_in_bins_of_the_knob(finished):
    records = read_table(finished / "acceptance_by_context.csv")
    assert {record["context_high"] - record["context_low"] for record in records} == {16}
    # The factory's prompts are of 21 tokens, so that drafting begins in the second bin.
    assert min(record["context_low"] for record in records) == 16


def test_a_text_that_differs_lowers_the_share(tmp_path):
    paths = write_decode_files(tmp_path, 4)
    write_rows(paths[0], [row | {"equal_to_baseline": row["example"] != "test-1"} for row in read_rows(paths[0])])
    tables = run(tmp_path, paths)
    shares = {record["method"]: record["equal_to_baseline"] for record in read_table(tables / "speedup.csv")}
    assert shares == {"baseline": 0.75, "generate": 1, "ssd": 1, "fastvlm": 1}


def differing(path, **fields):
    """The rows of a decode file, example `test-1` with another text at each setting."""
    wrong = {"equal_to_baseline": False, "first_difference": 3, "logit_gap": 0.25} | fields
    write_rows(path, [row | (wrong if row["example"] == "test-1" else {}) for row in read_rows(path)])


def test_a_draft_that_changes_a_text_in_float32_is_said_aloud(tmp_path, capsys):
    paths = write_decode_files(tmp_path, 4)
    for path in paths[1:3]:  # generate, of another engine, promises nothing
        differing(path)
    records = [record for record in read_table(run(tmp_path, paths) / "precision.csv") if record["different"]]
    assert [(record["method"], record["different_share"]) for record in records] == [("generate", 0.25)] + [("ssd", 0.25)] * 8
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 8
    assert warnings[0] == (
        "warning: llava-small/scenes-caption/ssd exit layer 4 draft length 1: 1 of 4 texts differ from plain decoding's in float32,"
        " expected none; see precision.csv"
    )


def test_texts_that_are_drawn_have_a_claim_in_place_of_a_share(tmp_path, capsys):
    paths = write_decode_files(tmp_path, 4, equal_to_baseline=None)
    tables = run(tmp_path, paths)
    assert {(r["equal_to_baseline"], r["claim"]) for r in read_table(tables / "speedup.csv")} == {(None, "equal in distribution")}
    assert {(r["different"], r["different_share"]) for r in read_table(tables / "precision.csv")} == {(None, None)}
    screen = capsys.readouterr().out
    assert "warning" not in screen
    assert all(line.endswith("equal in distribution") for line in screen.strip().splitlines()[2:])


def test_half_precision_is_counted_without_a_warning(tmp_path, capsys):
    paths = write_decode_files(tmp_path, 4, dtype="bfloat16")
    differing(paths[3])
    records = read_table(run(tmp_path, paths) / "precision.csv")
    assert {record["dtype"] for record in records} == {"bfloat16"}
    assert sum(record["different"] for record in records) == 8
    assert "warning" not in capsys.readouterr().out


def run(folder, paths, output="tables", cost=None):
    validation = write_decode_files(folder / "validation", 4, TUNED, "validation")
    from fastvlm.metrics.speed import select

    select([*validation, *(path for path in paths if path.parent.name in TUNED)], folder / "selection.csv")
    write_rows(folder / "cost.jsonl", cost or cost_rows())
    write_tables(KNOBS, paths, [folder / "cost.jsonl"], folder / "selection.csv", folder / output)
    return folder / output


def test_other_seconds_change_timing_columns_only(tmp_path):
    paths = write_decode_files(tmp_path)
    first = run(tmp_path, paths, "first")
    for path in paths:
        write_rows(path, [row | {"decode_seconds": row["decode_seconds"] * 1.7} for row in read_rows(path)])
    second = run(tmp_path, paths, "second")
    for table in COLUMNS:
        for one, other in zip(read_table(first / f"{table}.csv"), read_table(second / f"{table}.csv"), strict=True):
            changed = {column for column in one if one[column] != other[column]}
            assert all("speedup" in column or "per_second" in column or column == "verdict" for column in changed)
            assert bool(changed) == (table == "speedup")


def test_rows_of_two_machines_are_split_by_machine_and_said_aloud(tmp_path, capsys):
    paths = write_decode_files(tmp_path, 6)
    for row_of in (path for path in paths if path.parent.name == "ssd"):
        other = {"test-4", "test-5"}
        write_rows(row_of, [row | ({"machine": "1"} if row["example"] in other else {}) for row in read_rows(row_of)])
    tables = run(tmp_path, paths)
    lines = read_table(tables / "speedup_by_machine.csv")
    assert {(line["method"], line["machine"], line["examples"]) for line in lines} == {("ssd", "0", 4), ("ssd", "1", 2)}
    assert len(lines) == 2 * 8
    whole = next(line for line in read_table(tables / "speedup.csv") if line["method"] == "ssd")
    assert sum(line["output_tokens"] for line in lines[:2]) == whole["output_tokens"]
    assert min(line["decode_speedup"] for line in lines[:2]) <= whole["decode_speedup"] <= max(line["decode_speedup"] for line in lines[:2])
    provenance = json.loads((tables / "provenance.json").read_text())
    assert provenance["cpu"] == "CPU 0" and list(provenance["machines"]) == ["0", "1"]
    [said] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert said.startswith("warning: the rows come from 2 machines: 0 (CPU 0, none); 1 (CPU 1, none). Each row compares seconds of one")


def test_a_machine_without_a_record_leaves_no_table(tmp_path):
    paths = write_decode_files(tmp_path)
    write_rows(paths[0], [row | {"machine": "elsewhere"} for row in read_rows(paths[0])])
    with pytest.raises(UserError, match="machine 'elsewhere' of the decode rows has no record; run the decode stage again"):
        run(tmp_path, paths)
    assert not (tmp_path / "tables").exists()


def test_same_rows_same_bytes(tmp_path):
    paths = write_decode_files(tmp_path)
    first, second = run(tmp_path, paths, "first"), run(tmp_path, paths, "second")
    assert [(first / f"{table}.csv").read_bytes() for table in COLUMNS] == [(second / f"{table}.csv").read_bytes() for table in COLUMNS]


def test_a_missing_row_leaves_no_table(tmp_path):
    paths = write_decode_files(tmp_path)
    write_rows(paths[3], read_rows(paths[3])[1:])
    with pytest.raises(UserError, match="no row for example 'test-0'"):
        run(tmp_path, paths)
    assert not (tmp_path / "tables").exists()


def test_a_selected_setting_that_test_did_not_decode_leaves_no_table(tmp_path):
    paths = write_decode_files(tmp_path)
    for path in paths[2:]:
        write_rows(path, [row for row in read_rows(path) if row["draft_length"] == 2])
    with pytest.raises(UserError, match=r"selection.csv: no line fits llava-small/scenes-caption/"):
        run(tmp_path, paths)
    assert not (tmp_path / "tables").exists()


def test_costs_are_means_over_examples_in_their_intervals(finished):
    records = read_table(finished / "cost.csv")
    # Plain decoding, then four drafters and the passes of 1 to 9 tokens of each, on each of two datasets.
    assert [record["examples"] for record in records] == [2] * (1 + (1 + 9) * 4) * 2
    measured = [[record[f"draft_step_seconds{end}"] for end in ("_low", "", "_high")] for record in records]
    assert measured == ([[None] * 3] + ([[0.0003, 0.0004, 0.0005]] + [[None] * 3] * 9) * 4) * 2
    assert [record["target_pass_seconds_low"] for record in records[:4]] == [0.002, None, 0.0021, 0.0022]


OTHER = {"seconds": [1]}, {"draft_step_seconds": 1}, {"draft_step_seconds": []}, {"draft_step_seconds": [1], "target_pass_seconds": [1]}


@pytest.mark.parametrize("row", [{"model": "m"}, *({"model": "m", "method": "ssd"} | other for other in OTHER)])
def test_a_cost_row_of_another_shape_leaves_no_table(tmp_path, row):
    with pytest.raises(UserError, match=r"cost.jsonl: not the rows that the cost stage writes"):
        run(tmp_path, write_decode_files(tmp_path), cost=[row])
    assert not (tmp_path / "tables").exists()


def test_the_screen_shows_the_selected_settings(tmp_path, capsys):
    tables = run(tmp_path, write_decode_files(tmp_path))
    screen = capsys.readouterr().out
    chosen = read_table(tmp_path / "selection.csv")
    lines = screen.strip().splitlines()
    assert lines[0] == "scenes / llava-small"
    assert [line.split()[2] for line in lines[2:]] == ["baseline", "generate", "ssd", "fastvlm"]
    for line, record in zip(lines[4:], chosen, strict=True):
        assert line.split()[3:6] == [str(record["exit_layer"]), "fixed", str(record["draft_length"])]
        shown = next(r for r in read_table(tables / "speedup.csv") if [r[c] for c in list(record)[:6]] == list(record.values())[:6])
        assert f"{shown['decode_speedup']:.2f} [{shown['decode_speedup_low']:.2f}, {shown['decode_speedup_high']:.2f}]" in line
    assert max(map(len, lines)) <= 140
