"""The one stopwatch: synchronised at both edges on an accelerator."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


def timed(act: Callable[[], Result], device: torch.device) -> tuple[Result, float]:
    """What `act` returns, and the seconds it took."""
    _synchronise(device)
    start = time.perf_counter()
    result = act()
    _synchronise(device)
    return result, time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
