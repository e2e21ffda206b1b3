"""What a stopwatch counts."""

from __future__ import annotations

import torch

from fastvlm.decoding.stopwatch import timed
from fastvlm.models.recorded import RecordedPass


def test_an_act_that_recorded_something_acts_again(monkeypatch):
    """Once recorded, a pass is played back: only that is what decoding takes."""
    monkeypatch.setattr(RecordedPass, "made", 0)
    seen = []

    def act():
        seen.append(len(seen))
        RecordedPass.made += len(seen) < 3
        return seen[-1]

    result, seconds = timed(act, torch.device("cpu"))
    assert (result, seen) == (2, [0, 1, 2])
    assert seconds >= 0
