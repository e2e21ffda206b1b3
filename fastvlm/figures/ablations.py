"""What each part of the distillation is worth: speed-up and acceptance of FastVLM, one factor at a time changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastvlm.figures.style import BLACK, BLUE, HATCHES, OTHER_COLOURS, cycle, from_zero, panels, places, shared_legend
from fastvlm.table_file import Record, read_table

SPANS = {"decode_speedup": "decode-only speed-up\n(times plain decoding)", "acceptance_rate": "acceptance rate"}
WIDTH = 0.8  # of all bars of a value, where values stand 1 apart
ENDS = ("", "_low", "_high")


def figure(tables: Path) -> Figure:
    """Reads `ablations.csv`: a row of panels a model and measure, a panel a factor, a bar a value and dataset."""
    records = read_table(tables / "ablations.csv", "factor", "value", *(f"{span}{end}" for span in SPANS for end in ENDS))
    models, datasets = places(records)
    factors = list(dict.fromkeys(record["factor"] for record in records))
    length = records[0]["draft_length"]
    title = f"Experiment {records[0]['experiment']}: what each part of the distillation is worth\n(FastVLM, K = {length}, test images)"
    rows = [(model, span) for model in models for span in SPANS]
    drawn, grid = panels(len(rows), len(factors), title)
    for (model, span), axes in zip(rows, grid, strict=True):
        for factor, axis in zip(factors, axes, strict=True):
            _panel(axis, [record for record in records if (record["model"], record["factor"]) == (model, factor)], span, datasets)
            axis.set_title(f"{model}: {factor}")
        axes[0].set_ylabel(SPANS[span])
    from_zero(grid)
    shared_legend(drawn, [axis for axes in grid for axis in axes])
    return drawn


def _panel(axis: Axes, records: Sequence[Record], span: str, datasets: Sequence[str]) -> None:
    colours, hatches = cycle((BLUE, *OTHER_COLOURS), datasets), cycle(HATCHES, datasets)
    values = list(dict.fromkeys(record["value"] for record in records))
    defaults = {record["value"] for record in records if record["default"]}
    width = WIDTH / len(datasets)
    for number, dataset in enumerate(datasets):
        here = {record["value"]: record for record in records if record["dataset"] == dataset}
        for at, value in enumerate(values):
            x = at + width * (number - (len(datasets) - 1) / 2)
            _bar(axis, x, here[value], span, {"color": colours[dataset], "hatch": hatches[dataset], "width": width, "label": dataset})
    if span == "decode_speedup":
        axis.axhline(1, color=BLACK, linewidth=0.9, linestyle="--", label="plain decoding (1.0)")
    axis.set_xticks(range(len(values)), [f"{value}\n(default)" if value in defaults else value for value in values], fontsize=7.5)
    axis.grid(axis="x", visible=False)


def _bar(axis: Axes, x: float, record: Record, span: str, look: dict) -> None:
    value, low, high = (record[f"{span}{end}"] for end in ENDS)
    if value is None:
        return
    axis.bar(x, value, edgecolor="white", linewidth=0.5, **look)
    if low is not None and high is not None:
        axis.errorbar(x, value, [[max(value - low, 0)], [max(high - value, 0)]], color=BLACK, linewidth=1)
