"""How many drafts a target pass accepted, at the setting that validation chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastvlm.figures.style import AT_SELECTED, HATCHES, cycle, figure_by_place
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import Record, read_table


def figure(tables: Path) -> Figure:
    """Reads `accepted_length.csv` and `selection.csv`."""
    records = keep_selected(
        read_table(tables / "accepted_length.csv", "accepted", "passes"), read_selection(tables / "selection.csv"), all_of=False
    )
    return figure_by_place(records, f"accepted drafts by target pass{AT_SELECTED}", "target passes (%)", _panel, selected=True)


def _panel(axis: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    hatches = cycle(HATCHES, [record["method"] for record in records])
    width = 0.8 / len(hatches)
    for index, (method, hatch) in enumerate(hatches.items()):
        bars = [record for record in records if record["method"] == method]
        passes = sum(record["passes"] for record in bars)
        at = [record["accepted"] + (index + 0.5) * width - 0.4 for record in bars]
        shares = [100 * record["passes"] / passes for record in bars]
        axis.bar(at, shares, width, color=colours[method], hatch=hatch, edgecolor="white", linewidth=0.5, label=method)
    axis.set_xticks(range(max(record["accepted"] for record in records) + 1))
    axis.grid(axis="x", visible=False)
    axis.set_xlabel("accepted drafts in a pass (tokens)")
