"""Training loss of each model by step, a panel for each stage of its training: the losses of two stages are not on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from fastvlm.errors import UserError
from fastvlm.figures.style import BLUE, panels
from fastvlm.table_file import Record, read_table


def figure(tables: Path) -> Figure:
    """Reads `learning_curve.csv`."""
    records = read_table(tables / "learning_curve.csv", "experiment", "model", "stage", "step", "seconds", "loss", "learning_rate")
    if not records:
        raise UserError(f"{tables / 'learning_curve.csv'}: no line to draw; train the model again")
    stages = {model: _stages(records, model) for model in dict.fromkeys(record["model"] for record in records)}
    title = f"Experiment {records[0]['experiment']}: loss by training step, stage by stage"
    drawn, grid = panels(len(stages), max(map(len, stages.values())), title, share="none")
    for (model, curves), axes in zip(stages.items(), grid, strict=True):
        for (stage, curve), axis in zip(curves.items(), axes, strict=False):
            _panel(axis, curve)
            axis.set_title(f"{model}: {stage}\n({curve[-1]['seconds'] - curve[0]['seconds']:.0f} s)")
        for unused in axes[len(curves) :]:
            unused.set_axis_off()
        axes[0].set_ylabel("training loss (log scale)")
    return drawn


def _stages(records: Sequence[Record], model: str) -> dict[str, list[Record]]:
    curves: dict[str, list[Record]] = {}
    for record in records:
        if record["model"] == model:
            curves.setdefault(record["stage"], []).append(record)
    return curves


def _panel(axis: Axes, curve: Sequence[Record]) -> None:
    axis.plot([record["step"] for record in curve], [record["loss"] for record in curve], color=BLUE, linewidth=1.2)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("step")
