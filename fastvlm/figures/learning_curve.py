"""Training loss of each model by step, a panel for each stage of its training: the losses of two stages are not on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from fastvlm.errors import UserError
from fastvlm.figures.style import BLUE, panels
from fastvlm.table_file import Record, read_table

COLUMNS = 3
SMOOTHED = 25  # steps that the bold line averages over


def figure(tables: Path) -> Figure:
    """Reads `learning_curve.csv`."""
    records = read_table(tables / "learning_curve.csv", "experiment", "model", "stage", "step", "seconds", "loss", "learning_rate")
    if not records:
        raise UserError(f"{tables / 'learning_curve.csv'}: no line to draw; train the model again")
    curves = [
        (model, *stage) for model in dict.fromkeys(record["model"] for record in records) for stage in _stages(records, model).items()
    ]
    rows, columns = -(-len(curves) // COLUMNS), min(COLUMNS, len(curves))
    drawn, grid = panels(rows, columns, f"Experiment {records[0]['experiment']}: loss by training step, stage by stage", share="none")
    axes = [axis for row in grid for axis in row]
    for axis, (model, stage, curve) in zip(axes, curves, strict=False):
        _panel(axis, curve)
        axis.set_title(f"{model}: {stage}\n({curve[-1]['seconds'] - curve[0]['seconds']:.0f} s)")
    for unused in axes[len(curves) :]:
        unused.set_axis_off()
    for row in grid:
        row[0].set_ylabel("training loss (log scale)")
    return drawn


def _stages(records: Sequence[Record], model: str) -> dict[str, list[Record]]:
    curves: dict[str, list[Record]] = {}
    for record in records:
        if record["model"] == model:
            curves.setdefault(record["stage"], []).append(record)
    return curves


def _panel(axis: Axes, curve: Sequence[Record]) -> None:
    steps, losses = ([record[name] for record in curve] for name in ("step", "loss"))
    axis.plot(steps, losses, color=BLUE, linewidth=0.6, alpha=0.35)
    window = min(SMOOTHED, len(losses))
    axis.plot(
        steps[(window - 1) // 2 : len(steps) - window // 2],
        np.convolve(losses, np.full(window, 1 / window), "valid"),
        color=BLUE,
        linewidth=1.4,
    )
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("step")
