"""What differs, where and by how much; nothing where nothing differs."""

from __future__ import annotations

from fastvlm.metrics.precision import COLUMNS, broken_promises, differences


def row(position=None, gap=None, dtype="bfloat16"):
    return {"method": "ssd", "dtype": dtype, "equal_to_baseline": position is None, "first_difference": position, "logit_gap": gap}


def test_counts_positions_and_gaps_of_the_texts_that_differ():
    found = differences([row(), row(8, 0.5), row(2, 0.125), row(), row(5, 0.25), row(12)])  # the last one merely ends earlier
    assert tuple(found) == COLUMNS
    assert list(found.values()) == ["bfloat16", "lossless", 4, 4 / 6, 6.5, 2, 0.25, 0.5]


def test_where_nothing_differs_cells_are_empty():
    assert list(differences([row(), row()]).values()) == ["bfloat16", "lossless", 0, 0.0, None, None, None, None]


def test_a_first_token_and_a_tie_count():
    assert list(differences([row(0, 0.0)]).values())[2:] == [1, 1.0, 0, 0, 0.0, 0.0]


def test_only_drafts_in_float32_have_promised_anything():
    setting = {"model": "m", "dataset": "d", "exit_layer": 2, "draft_length": 4, "examples": 2}
    kept = setting | {"method": "ssd"} | differences([row(dtype="float32")] * 2)
    lost = setting | {"method": "fastvlm"} | differences([row(dtype="float32"), row(3, 0.1, "float32")])
    other = [lost | {"method": "generate"}, lost | {"dtype": "float16"}, lost | {"method": "baseline"}]
    assert broken_promises([kept, *other]) == []
    assert len(broken_promises([kept, lost, *other])) == 1
