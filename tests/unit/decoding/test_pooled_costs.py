"""Costs relative to plain decoding beside them, from all datasets together, in each dataset's own seconds."""

from __future__ import annotations

import pytest

from fastvlm.decoding.costs import costs_of
from fastvlm.decoding.pooled_costs import pooled


def measured(dataset, plain, *, slow=1.0):
    """Two examples; the machine runs at half its speed during the second. `slow`: what only drafting and verifying took longer."""
    key, draft = {"dataset": dataset}, {"method": "ssd", "exit_layer": 4}
    both = [plain, 2 * plain]
    yield key | {"method": "baseline", "exit_layer": None, "tokens_in_pass": 1, "target_pass_seconds": both}
    acts = {"draft_step_seconds": 0.5, "draft_start_seconds": 0.25, "draft_look_seconds": 0.0}
    yield key | draft | {"added_bytes": 3} | {name: [ratio * slow * seconds for seconds in both] for name, ratio in acts.items()}
    for tokens, ratio in ((1, 1.0), (2, 1.5)):
        yield key | draft | {"tokens_in_pass": tokens, "target_pass_seconds": [ratio * slow * seconds for seconds in both]}


def test_what_slows_one_dataset_is_shared_by_all():
    rows = [*measured("caption", 1.0), *measured("vqa", 3.0, slow=1.2)]
    costs = {dataset: costs_of(pooled(rows), dataset, "ssd", 4) for dataset in ("caption", "vqa")}
    assert [of.plain for of in costs.values()] == pytest.approx([1.5, 4.5])
    for of in costs.values():
        assert of.step / of.plain == pytest.approx(0.5 * 1.1) and of.start / of.plain == pytest.approx(0.25 * 1.1)
        assert [seconds / of.plain for seconds in of.passes] == pytest.approx([1.1, 1.65])


def test_one_dataset_keeps_its_own_and_what_is_no_time_stays():
    rows = list(measured("caption", 1.0))
    assert costs_of(pooled(rows), "caption", "ssd", 4) == costs_of(rows, "caption", "ssd", 4)
    assert [row["added_bytes"] for row in pooled(rows) if "added_bytes" in row] == [3]


def test_a_dataset_without_plain_decoding_is_left_out():
    rows = [*measured("caption", 1.0), *list(measured("vqa", 3.0, slow=9.0))[1:]]
    assert pooled(rows) == pooled(measured("caption", 1.0))
