"""Predicted against measured speed-up: does what acceptance and costs say explain what the stopwatch says?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastvlm.figures.style import BLACK, GREY, MARKERS, cycle, method_colours, panels, places, shared_legend
from fastvlm.table_file import Record, read_table

CLOSE = 0.1  # the band around the diagonal, as a share of the measured speed-up


def figure(tables: Path) -> Figure:
    """Reads `ceiling.csv`: a panel a model, a mark a setting; its colour says of which method, its shape on which dataset."""
    records = [r for r in read_table(tables / "ceiling.csv", "predicted_speedup", "decode_speedup") if r["predicted_speedup"]]
    models, datasets = places(records)
    drawn, grid = panels(1, len(models), f"Experiment {records[0]['experiment']}: predicted and measured decode-only speed-up")
    markers, colours = cycle(MARKERS, datasets), method_colours(records)
    top = 1.05 * max(max(record["decode_speedup"], record["predicted_speedup"]) for record in records)
    for model, axis in zip(models, grid[0], strict=True):
        _panel(axis, [record for record in records if record["model"] == model], markers, colours, top)
        axis.set_title(model)
    grid[0][0].set_ylabel("predicted speed-up\n(from acceptance and costs)")
    shared_legend(drawn, grid[0], columns=4)
    return drawn


def _panel(axis: Axes, records: Sequence[Record], markers: dict[str, str], colours: dict[str, str], top: float) -> None:
    for method, dataset in dict.fromkeys((record["method"], record["dataset"]) for record in records):
        of = [record for record in records if (record["method"], record["dataset"]) == (method, dataset)]
        x, y = ([record[name] for record in of] for name in ("decode_speedup", "predicted_speedup"))
        axis.plot(x, y, markers[dataset], color=colours[method], alpha=0.75, markersize=5)
    # Method and dataset are read apart: a sample of each pair would fill the page.
    for method in dict.fromkeys(record["method"] for record in records):
        axis.plot([], [], color=colours[method], linewidth=5, label=method)
    for dataset in dict.fromkeys(record["dataset"] for record in records):
        axis.plot([], [], markers[dataset], color=GREY, label=dataset)
    axis.plot([0, top], [0, top], color=BLACK, linewidth=0.9, label="predicted = measured")
    axis.fill_between(
        [0, top], [0, (1 - CLOSE) * top], [0, (1 + CLOSE) * top], color=BLACK, alpha=0.08, linewidth=0, label=f"within {CLOSE:.0%}"
    )
    axis.set_xlim(0, top)
    axis.set_ylim(0, top)
    axis.set_xlabel("measured speed-up")
