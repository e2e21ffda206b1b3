"""Speed-up of each method at the setting that validation chose, decode-only and end to end, `generate` included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastvlm.figures.style import AT_SELECTED, BLACK, figure_by_place, setting
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import Record, read_table

SPANS = {"decode_speedup": ("decode only", ""), "e2e_speedup": ("end to end (vision, prefill, decode)", "/////")}
WIDTH = 0.38


def figure(tables: Path) -> Figure:
    """Reads `speedup.csv` and `selection.csv`."""
    records = keep_selected(read_table(tables / "speedup.csv", *SPANS), read_selection(tables / "selection.csv"))
    return figure_by_place(records, f"speed-up by method{AT_SELECTED}", "speed-up\n(times plain decoding)", _panel, taller=0.5)


def _panel(axis: Axes, records: Sequence[Record], colours: dict[str, str]) -> None:
    for side, (span, (label, hatch)) in zip((-WIDTH / 2, WIDTH / 2), SPANS.items(), strict=True):
        # The legend's patch is grey: colour says the method, hatch says the span.
        axis.bar(0, 0, color="#bdbdbd", hatch=hatch, edgecolor="white", label=label)
        for at, record in enumerate(records):
            if record[span] is not None:
                axis.bar(at + side, record[span], WIDTH, color=colours[record["method"]], hatch=hatch, edgecolor="white", linewidth=0.5)
                _interval(axis, at + side, record, span)
    axis.axhline(1, color=BLACK, linewidth=0.9, linestyle="--", label="plain decoding (1.0)")
    axis.set_xticks(range(len(records)), [_tick(record) for record in records], fontsize=6.5, rotation=90)
    axis.grid(axis="x", visible=False)
    axis.margins(y=0.16)


def _interval(axis: Axes, x: float, record: Record, span: str) -> None:
    value, low, high = (record[f"{span}{end}"] for end in ("", "_low", "_high"))
    top = value if high is None else high
    if low is not None and high is not None:
        axis.errorbar(x, value, [[max(value - low, 0)], [max(high - value, 0)]], color=BLACK, linewidth=1)
    axis.annotate(f"{value:.2f}", (x, top), (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=6.5, rotation=90)


def _tick(record: Record) -> str:
    return "\n".join(part for part in (record["method"], ", ".join(setting(record))) if part)
