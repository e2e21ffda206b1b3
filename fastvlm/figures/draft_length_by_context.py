"""How long FastVLM's drafts are along the context, by each draft-length policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fastvlm.figures.style import LINES, MARKERS, OTHER_COLOURS, cycle, figure_by_place
from fastvlm.selection import choice, read_policies
from fastvlm.table_file import Record, read_table

METHOD = "fastvlm"


def figure(tables: Path) -> Figure:
    """Reads `draft_length_by_context.csv` and `selection.csv`: each policy at the setting that validation chose for it."""
    chosen = {choice(record) for record in read_policies(tables / "selection.csv")}
    records = read_table(tables / "draft_length_by_context.csv", "context_low", "context_high", "mean_draft_length")
    records = [record for record in records if record["method"] == METHOD and choice(record) in chosen]
    ylabel = "drafts in a round\n(mean, tokens)"
    return figure_by_place(records, f"draft length of {METHOD} along the context, by policy", ylabel, _panel, zero=True)


def _panel(axis: Axes, records: Sequence[Record], _: dict[str, str]) -> None:
    policies = list(dict.fromkeys(record["policy"] for record in records))
    colours, markers, lines = cycle(OTHER_COLOURS, policies), cycle(MARKERS, policies), cycle(LINES, policies)
    for policy in policies:
        line = [record for record in records if record["policy"] == policy]
        middles = [(record["context_low"] + record["context_high"]) / 2 for record in line]
        look = {"color": colours[policy], "marker": markers[policy], "linestyle": lines[policy]}
        axis.plot(middles, [record["mean_draft_length"] for record in line], label=policy, markersize=3.5, **look)
    axis.set_xlabel("context length when the round begins (tokens)")
    axis.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
