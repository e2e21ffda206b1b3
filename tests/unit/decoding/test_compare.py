"""Pairing: every act runs as often as asked, and the place in line changes."""

from __future__ import annotations

import pytest
import torch

from fastvlm.decoding.compare import compete, first_difference
from fastvlm.decoding.trace import Trace

CPU = torch.device("cpu")


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_each_act_runs_once_a_repeat_and_who_begins_changes(turn):
    order = []
    acts = [lambda name=name: order.append(name) or Trace([name]) for name in range(3)]
    traces, seconds = compete(acts, repeats=2, turn=turn, device=CPU)
    assert [trace.tokens for trace in traces] == [[0], [1], [2]]
    assert order[0] == turn and order[3] == (turn + 1) % 3
    assert sorted(order[:3]) == sorted(order[3:]) == [0, 1, 2]
    assert len(seconds) == 3 and min(seconds) > 0


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [([1, 2], [1, 2], None), ([1, 3], [1, 2], 1), ([1], [1, 2], 1), ([1, 2, 3], [1, 2], 2), ([9], [1], 0)],
)
def test_first_difference(ours, theirs, expected):
    assert first_difference(ours, theirs) == expected
