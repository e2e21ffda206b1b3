"""The one stopwatch: synchronised at both edges on an accelerator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

from fastvlm.models.recorded import RecordedPass

Result = TypeVar("Result")


def timed(act: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """What `act` returns, and the seconds it took; what it recorded for the next time does not count: it acts again."""
    while True:
        recorded = RecordedPass.made
        _synchronise(device)
        start = time.perf_counter()
        result = act()
        _synchronise(device)
        seconds = time.perf_counter() - start
        if RecordedPass.made == recorded:
            return result, seconds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
