"""One module a figure; each reads one table and draws what is in it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from fastvlm.errors import UserError

FIGURES = (
    "speedup_by_draft_length",
    "speedup_by_method",
    "acceptance_by_context",
    "accepted_length",
    "limits",
    "draft_length_by_context",
    "predicted_speedup",
    "learning_curve",
    "gallery",
)
ON_REQUEST = ("ablations",)  # of targets of their own, which the experiment does without


def draw(name: str, tables: Path, output: Path) -> None:
    """Draw one of `FIGURES` or `ON_REQUEST` from the tables in the folder `tables` as a PNG at `output` and a PDF beside it.

    Raises `UserError` for an unknown name, or where the table is missing or has nothing to draw.
    """
    if name not in (*FIGURES, *ON_REQUEST):
        raise UserError(f"no figure '{name}'; expected one of {', '.join((*FIGURES, *ON_REQUEST))}")
    from fastvlm.figures.style import house_style, save

    with house_style():
        save(import_module(f"fastvlm.figures.{name}").figure(tables), output)
