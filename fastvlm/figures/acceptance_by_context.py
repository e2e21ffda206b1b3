"""Acceptance rate by context length (the paper's Figure 5), at the setting that validation chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fastvlm.figures.style import AT_SELECTED, GREY, LINES, MARKERS, cycle, figure_by_place
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import Record, read_table

FEW = 20


def figure(tables: Path) -> Figure:
    """Reads `acceptance_by_context.csv` and `selection.csv`; a bin of fewer than `FEW` drafts is drawn hollow, off the line."""
    records = read_table(tables / "acceptance_by_context.csv", "context_low", "context_high", "drafted", "acceptance_rate")
    records = keep_selected(records, read_selection(tables / "selection.csv"), all_of=False)
    ylabel = "acceptance rate\n(accepted / drafted)"
    return figure_by_place(records, f"acceptance by context length{AT_SELECTED}", ylabel, _panel, legend_columns=3, selected=True)


def _panel(axis: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    methods = list(dict.fromkeys(record["method"] for record in records))
    width = records[0]["context_high"] - records[0]["context_low"]
    markers, lines = cycle(MARKERS, methods), cycle(LINES, methods)
    for method in methods:
        line = [record for record in records if record["method"] == method]
        style = {"color": colours[method], "marker": markers[method]}
        enough = [record for record in line if record["drafted"] >= FEW]
        few = [record for record in line if record["drafted"] < FEW]
        # A little apart, so that one interval does not hide another.
        aside = width * 0.07 * (methods.index(method) - (len(methods) - 1) / 2)
        axis.errorbar(*_points(enough, aside), label=method, linestyle=lines[method], elinewidth=1, **style)
        if few:
            axis.errorbar(*_points(few, aside), linestyle="none", markerfacecolor="white", elinewidth=0.6, **style)
    if any(record["drafted"] < FEW for record in records):
        axis.plot([], [], "o", color=GREY, markerfacecolor="white", label=f"hollow: fewer than {FEW} drafts")
    axis.set_xlabel(f"context length (tokens, in bins of {width})")
    axis.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
    axis.set_ylim(-0.03, 1.03)


def _points(records: Sequence[Record], aside: float) -> tuple[list[float], list[float], list[list[float]]]:
    """Middles of the bins moved by `aside`, rates, and [below, above] of the intervals."""
    middles = [(record["context_low"] + record["context_high"]) / 2 + aside for record in records]
    rates = [record["acceptance_rate"] for record in records]
    reach = [[], []]
    for record in records:
        for side, end, sign in zip(reach, ("low", "high"), (-1, 1), strict=True):
            bound = record[f"acceptance_rate_{end}"]
            side.append(0 if bound is None else max(0, sign * (bound - record["acceptance_rate"])))
    return middles, rates, reach
