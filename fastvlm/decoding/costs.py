"""What a round costs on this machine, put together from what was measured one act at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from fastvlm.errors import UserError


@dataclass(frozen=True)
class Costs:
    """Seconds. `step`: one more draft; `passes[i]`: the full model over i + 1 tokens; `start`: reading the prompt, once a text; `look`:
    learning how likely a draft is."""

    step: float
    passes: tuple[float, ...]
    start: float = 0.0
    look: float = 0.0

    def round(self, drafted: int) -> float:
        """Of a round: `drafted` steps, and the pass over the drafts and the pending token."""
        return drafted * self.step + self.passes[drafted]


def costs_of(rows: Iterable[Mapping[str, Any]], dataset: str, method: str, exit_layer: int | None) -> Costs:
    """From the rows of the cost stage; raises `UserError` where something was not measured."""
    here = [row for row in rows if row["dataset"] == dataset]
    passes = sorted((row["tokens_in_pass"], fmean(row["target_pass_seconds"])) for row in here if "target_pass_seconds" in row)
    steps = [row for row in here if (row["method"], row["exit_layer"]) == (method, exit_layer) and "draft_step_seconds" in row]
    if not passes or not steps:
        where = f"{method}{f' at exit layer {exit_layer}' if exit_layer else ''} on {dataset}"
        raise UserError(f"no measured cost of {where}; run the cost stage again")
    step, start, look = (fmean(steps[0][f"draft_{act}_seconds"]) for act in ("step", "start", "look"))
    return Costs(step, tuple(seconds for _, seconds in passes), start, look)
