"""How every figure looks: colours for the colour-blind (Okabe-Ito), marker, line and hatch for grey; the same bytes for the same table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fastvlm.errors import UserError
from fastvlm.rows import whole_file
from fastvlm.table_file import Record

Panel = Callable[[Axes, Sequence[Record], dict[str, str]], None]

BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#767676"
WINE, OLIVE = "#882255", "#999933"  # of Paul Tol's muted scheme, which goes with the others
METHOD_COLOURS = {
    "baseline": GREY,
    "generate": GREEN,
    "ssd": VERMILION,
    "ssd-joint": WINE,
    "layerskip": PURPLE,
    "draft-verify": ORANGE,
    "exit-only": SKY,
    "prompt-lookup": OLIVE,
    "fastvlm": BLUE,
    "oracle": BLACK,
}
OTHER_COLOURS = (ORANGE, PURPLE, SKY, BLACK)
MARKERS = "osD^vPX*"
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
PANEL = (3.9, 2.9)
NO_BREAK = "\u00a0"
SETTINGS_WIDTH, SETTINGS_SIZE = 62, 7.5  # letters in a line above a panel, and their size in points
AT_SELECTED = "\n(each method at the setting chosen on validation)"
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "hatch.linewidth": 0.5,
    "errorbar.capsize": 2.5,
    "legend.handlelength": 3,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
}


@contextmanager
def house_style() -> Iterator[None]:
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **SETTINGS}):
        yield


def save(figure: Figure, output: Path) -> None:
    """Write the PNG at `output` and the PDF beside it, each whole or not at all, without the hour in them."""
    with whole_file(output) as partial:
        figure.savefig(partial, format="png", dpi=200)
    with whole_file(output.with_suffix(".pdf")) as partial:
        figure.savefig(partial, format="pdf", metadata={"CreationDate": None})


def panels(
    rows: int, columns: int, title: str, *, share: Literal["row", "none"] = "row", taller: float = 0
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a grid of panels, [rows][columns], under one title; the panels of a row share their y axis unless told otherwise.

    `taller`: inches that a panel's labels need beyond the usual.
    """
    # One panel alone is made wider, or the title and the legend would not fit above and below it.
    figure = Figure(figsize=(max(PANEL[0] * columns, 6.4), (PANEL[1] + taller) * rows + 0.9))
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10.5, fontweight="bold")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=share).tolist()


def figure_by_place(
    records: Sequence[Record],
    title: str,
    ylabel: str,
    panel: Panel,
    *,
    legend_columns: int = 4,
    selected: bool = False,
    zero: bool = False,
    taller: float = 0,
) -> Figure:
    """A row of panels for each model, one for each dataset, drawn by `panel(axis, its records, colour of each method)`.

    `selected`: the records are those of one setting a method, which the panel's title names; `zero`: y begins at 0;
    `taller`: inches that a panel's labels need beyond the usual.
    """
    models, datasets = places(records)
    colours = method_colours(records)
    inside = {(m, d): [r for r in records if (r["model"], r["dataset"]) == (m, d)] for m in models for d in datasets}
    if selected:
        taller += 0.13 * max(settings(here).count("\n") for here in inside.values())
    drawn, grid = panels(len(models), len(datasets), f"Experiment {records[0]['experiment']}: {title}", taller=taller)
    for model, axes in zip(models, grid, strict=True):
        for dataset, axis in zip(datasets, axes, strict=True):
            here = inside[model, dataset]
            panel(axis, here, colours)
            name = place_title(model, dataset, here)
            axis.set_title(f"{name}\n{settings(here)}" if selected else name, fontsize=SETTINGS_SIZE if selected else None)
        axes[0].set_ylabel(ylabel)
    if zero:
        from_zero(grid)
    shared_legend(drawn, [axis for axes in grid for axis in axes], columns=legend_columns)
    return drawn


def from_zero(grid: Sequence[Sequence[Axes]]) -> None:
    """Let the shared y axis of each row begin at 0 and end above all its panels: only when all are drawn is it known where."""
    for row in grid:
        row[0].set_ylim(bottom=0)


def places(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """The models and the datasets of a table, in its order; raises `UserError` if the table is empty."""
    if not records:
        raise UserError("the table has no line to draw; run the experiment again")
    return list(dict.fromkeys(record["model"] for record in records)), list(dict.fromkeys(record["dataset"] for record in records))


def place_title(model: str, dataset: str, records: Sequence[Record]) -> str:
    return f"{model} on {dataset}\n({records[0]['examples']} test images)"


def method_colours(records: Sequence[Record]) -> dict[str, str]:
    """A colour for each method of the table, the same in every figure for the methods that have one of their own."""
    methods = dict.fromkeys(record["method"] for record in records)
    others = [method for method in methods if method not in METHOD_COLOURS]
    return METHOD_COLOURS | {method: OTHER_COLOURS[index % len(OTHER_COLOURS)] for index, method in enumerate(others)}


def cycle(values: Sequence, keys: Sequence[Hashable]) -> dict:
    """One of `values` for each of `keys`, beginning anew when they run out."""
    return {key: values[index % len(values)] for index, key in enumerate(dict.fromkeys(keys))}


def shared_legend(figure: Figure, axes: Sequence[Axes], *, columns: int = 4) -> None:
    """One legend below all panels, without doubles."""
    entries = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns)


def settings(records: Sequence[Record]) -> str:
    """'ssd: exit 4, K = 2; fastvlm: exit 1, K = 8': the methods that draft, each at its setting, in lines that fit above a panel."""
    drafting = {record["method"]: record for record in records if record["draft_length"] is not None}
    said = [f"{method}: {', '.join(setting(record))}" for method, record in drafting.items()]
    # Lines break between methods only.
    return fill("; ".join(part.replace(" ", NO_BREAK) for part in said), SETTINGS_WIDTH, break_on_hyphens=False).replace(NO_BREAK, " ")


def setting(record: Record) -> list[str]:
    """['exit 1', 'K = 8'] or ['exit 1', 'goodput']: what there is of both."""
    length = record["policy"] if record["policy"] not in ("", "fixed") else record["draft_length"] and f"K = {record['draft_length']}"
    exits = record["exit_layer"] and f"exit {record['exit_layer']}"
    return [part for part in (exits, length) if part]
