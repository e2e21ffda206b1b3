"""Speed-up by draft length: a line for each method and exit layer, with its interval as a band."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastvlm.figures.style import BLACK, LINES, MARKERS, cycle, figure_by_place
from fastvlm.selection import choice, read_selection
from fastvlm.table_file import Record, read_table


def figure(tables: Path) -> Figure:
    """Reads `speedup.csv`, and `selection.csv` for the rings around what validation chose."""
    records = [record for record in read_table(tables / "speedup.csv", "decode_speedup") if record["policy"] == "fixed"]
    chosen = {choice(record) for record in read_selection(tables / "selection.csv")}

    def panel(axis: Axes, here: Sequence[Record], colours: dict[str, str]) -> None:
        _panel(axis, here, colours)
        _ring(axis, [record for record in here if choice(record) in chosen])

    ylabel = "decode-only speed-up\n(times plain decoding)"
    return figure_by_place(records, "speed-up by draft length", ylabel, panel, legend_columns=3, zero=True)


def _panel(axis: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    for method in dict.fromkeys(record["method"] for record in records):
        exits = [record["exit_layer"] for record in records if record["method"] == method]
        markers, lines = cycle(MARKERS, exits), cycle(LINES, exits)
        for exit_layer in markers:
            line = [record for record in records if (record["method"], record["exit_layer"]) == (method, exit_layer)]
            lengths = [record["draft_length"] for record in line]
            style = {"color": colours[method], "marker": markers[exit_layer], "linestyle": lines[exit_layer]}
            label = method if exit_layer is None else f"{method}, exit layer {exit_layer}"
            face = "white" if method == "ssd" else colours[method]
            axis.plot(lengths, _column(line, "decode_speedup"), label=label, markerfacecolor=face, zorder=3, **style)
            low, high = _column(line, "decode_speedup_low"), _column(line, "decode_speedup_high")
            axis.fill_between(lengths, low, high, color=colours[method], alpha=0.16, linewidth=0)
    axis.axhline(1, color=BLACK, linewidth=0.9, label="plain decoding (1.0)")
    axis.set_xticks(sorted({record["draft_length"] for record in records}))
    axis.set_xlabel("draft length K (tokens)")


def _ring(axis: Axes, chosen: Sequence[Record]) -> None:
    at = [record["draft_length"] for record in chosen], _column(chosen, "decode_speedup")
    axis.plot(
        *at, "o", markersize=13, markerfacecolor="none", markeredgecolor=BLACK, markeredgewidth=1.1, label="chosen on validation", zorder=4
    )


def _column(records: Sequence[Record], name: str) -> list[float]:
    return [float("nan") if record[name] is None else record[name] for record in records]
