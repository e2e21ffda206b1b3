"""How many drafts a target pass accepts at least, at the setting that validation chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fastvlm.figures.style import AT_SELECTED, LINES, MARKERS, cycle, figure_by_place
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import Record, read_table


def figure(tables: Path) -> Figure:
    """Reads `accepted_length.csv` and `selection.csv`."""
    records = keep_selected(
        read_table(tables / "accepted_length.csv", "accepted", "passes"), read_selection(tables / "selection.csv"), all_of=False
    )
    return figure_by_place(
        records, f"accepted drafts by target pass{AT_SELECTED}", "target passes that accept\nat least so many (%)", _panel, selected=True
    )


def _panel(axis: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    methods = list(dict.fromkeys(record["method"] for record in records))
    markers, lines = cycle(MARKERS, methods), cycle(LINES, methods)
    for method in methods:
        passes = {record["accepted"]: record["passes"] for record in records if record["method"] == method}
        at = range(max(passes) + 1)
        shares = [100 * sum(count for accepted, count in passes.items() if accepted >= least) / sum(passes.values()) for least in at]
        axis.plot(at, shares, color=colours[method], marker=markers[method], linestyle=lines[method], markersize=4, label=method)
    axis.xaxis.set_major_locator(MaxNLocator(13, integer=True))
    axis.set_ylim(-3, 103)
    axis.set_xlabel("accepted drafts in a pass (tokens)")
