"""One optimisation loop for every training: warm-up, cosine, clipped gradients, a curve, resumable checkpoints."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fastvlm.models.muon import Together, adamw, build_optimizer
from fastvlm.models.training_state import TrainingState
from fastvlm.progress import progress
from fastvlm.rows import whole_file

WARMUP_STEPS = 30
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Stage:
    """`steps` steps on `loss(step)` with a rate that ends at `final` of its peak; `groups` are the optimiser's, each with its `lr`.

    Every `checkpoint_every` steps and at the end `evaluate` is called, and the state saved.
    """

    name: str
    module: nn.Module
    groups: list[dict[str, Any]]
    steps: int
    loss: Callable[[int], Tensor]
    final: float
    checkpoint_every: int
    evaluate: Callable[[], None] = lambda: None
    orthogonal: bool = True  # whether matrices are stepped by Muon, or all by AdamW


def run_stage(stage: Stage, state: TrainingState) -> None:
    """Train from the state's step to the stage's end, and move the state to the next stage."""
    optimizer = build_optimizer(stage.module, stage.groups) if stage.orthogonal else Together(adamw(stage.groups))
    peaks = [group["lr"] for group in optimizer.param_groups]
    state.restore(stage.module, optimizer)
    stage.module.train()
    begin = time.monotonic()
    for step in progress(range(state.step, stage.steps), f"training {stage.name}"):
        factor = schedule(step, stage.steps, stage.final)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        loss = optimise(stage, optimizer, step)
        seconds = round(time.monotonic() - begin, 3)
        state.curve.append({"stage": stage.name, "step": step, "seconds": seconds, "loss": loss, "learning_rate": peaks[-1] * factor})
        state.step = step + 1
        if state.step % stage.checkpoint_every == 0 or state.step == stage.steps:
            stage.evaluate()
            state.save(stage.module, optimizer)
    state.stage, state.step = state.stage + 1, 0


def optimise(stage: Stage, optimizer: Together, step: int) -> float:
    """One step; returns the loss."""
    loss = stage.loss(step)
    loss.backward()
    nn.utils.clip_grad_norm_([weight for group in stage.groups for weight in group["params"]], GRADIENT_NORM)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def write_curve(path: Path, curve: list[dict[str, Any]]) -> None:
    """Write a state's curve as a CSV table, a line a step, in all digits."""
    with whole_file(path) as partial, partial.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, curve[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(curve)


def schedule(step: int, steps: int, final: float) -> float:
    """Share of the peak rate at a step: linear warm-up times a cosine from 1 to `final`."""
    return min(1.0, (step + 1) / WARMUP_STEPS) * (final + (1 - final) * 0.5 * (1 + cos(pi * step / steps)))
