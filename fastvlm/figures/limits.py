"""Speed-up by the length of the text: where drafting pays, and the answers of one word, where there is next to nothing to draft."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastvlm.figures.style import AT_SELECTED, BLACK, GREY, MARKERS, cycle, from_zero, method_colours, panels, places, shared_legend
from fastvlm.metrics.speed import SPEEDS
from fastvlm.table_file import Record, read_table

Edges = tuple[int, int]
COLUMNS = 3
ONE_WORD = "vqa"
APART, SPREAD = 0.12, 0.7  # methods stand so far beside each other, and all within so much, in widths of a bin


def figure(tables: Path) -> Figure:
    """Reads `limits.csv`, and `quality.csv` for which datasets are answered in one word."""
    records = read_table(tables / "limits.csv", "tokens_low", "tokens_high", *SPEEDS)
    short = {record["dataset"] for record in read_table(tables / "quality.csv", "task") if record["task"] == ONE_WORD}
    models, _ = places(records)
    rows, columns = -(-len(models) // COLUMNS), min(COLUMNS, len(models))
    drawn, grid = panels(rows, columns, f"Experiment {records[0]['experiment']}: speed-up by length of the text{AT_SELECTED}", taller=0.6)
    axes = [axis for row in grid for axis in row]
    for axis, model in zip(axes, models, strict=False):
        here = [record for record in records if record["model"] == model]
        _panel(axis, [record for record in here if not record["dataset"]], [record for record in here if record["dataset"] in short])
        axis.set_title(f"{model}, all datasets")
    for unused in axes[len(models) :]:
        unused.set_axis_off()
    for row in grid:
        row[0].set_ylabel("speed-up\n(times plain decoding)")
    from_zero(grid)
    shared_legend(drawn, axes, columns=3)
    return drawn


def _panel(axis: Axes, pooled: Sequence[Record], short: Sequence[Record]) -> None:
    """`pooled` are a model's records of all datasets together, `short` those of the datasets that are answered in one word."""
    at = {edges: place for place, edges in enumerate(sorted({_edges(record) for record in pooled}))}
    methods = list(dict.fromkeys(record["method"] for record in pooled))
    colours, markers = method_colours(pooled), cycle(MARKERS, methods)
    for number, method in enumerate(methods):
        side = min(APART, SPREAD / len(methods)) * (number - (len(methods) - 1) / 2)
        look = {"color": colours[method], "marker": markers[method], "markerfacecolor": "white" if method == "ssd" else colours[method]}
        line = [record for record in pooled if record["method"] == method]
        _line(axis, line, [at[_edges(record)] + side for record in line], method, look)
        points = [record for record in short if record["method"] == method]
        _one_word(axis, points, [at[_edges(record)] + side for record in points])
    axis.plot([], [], color=GREY, linewidth=1.6, label="end to end (vision, prefill, decode)")
    axis.plot([], [], color=GREY, linewidth=1.1, linestyle="--", alpha=0.6, label="decode only")
    axis.axhline(1, color=BLACK, linewidth=0.9, label="plain decoding (1.0)")
    counts = {_edges(record): record["examples"] for record in pooled}
    axis.set_xticks(range(len(at)), [f"{low}\u2013{high}\nn={counts[low, high]}" for low, high in at], fontsize=7.5)
    axis.set_xlabel("tokens of plain decoding's text")


def _line(axis: Axes, line: Sequence[Record], x: Sequence[float], method: str, look: dict) -> None:
    decode = [_value(record, "decode_speedup") for record in line]
    axis.plot(x, decode, linestyle="--", alpha=0.45, markersize=3.5, linewidth=1.1, **look)
    ends = [(_value(record, "e2e_speedup"), record["e2e_speedup_low"], record["e2e_speedup_high"]) for record in line]
    bars = [[max(value - (value if low is None else low), 0) for value, low, _ in ends]]
    bars += [[max((value if high is None else high) - value, 0) for value, _, high in ends]]
    axis.errorbar(x, [value for value, _, _ in ends], bars, linewidth=1.6, elinewidth=1, label=method, zorder=3, **look)


def _one_word(axis: Axes, points: Sequence[Record], x: Sequence[float]) -> None:
    values = [_value(record, "e2e_speedup") for record in points]
    style = {"markersize": 8, "markerfacecolor": "none", "markeredgecolor": BLACK, "markeredgewidth": 1.1}
    axis.plot(x, values, "o", label="one-word answers alone, end to end", zorder=4, **style)


def _edges(record: Record) -> Edges:
    return record["tokens_low"], record["tokens_high"]


def _value(record: Record, name: str) -> float:
    return float("nan") if record[name] is None else record[name]
