"""What a round costs on this machine, put together from what the cost stage measured of its acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from fastvlm.errors import UserError


@dataclass(frozen=True)
class Costs:
    """Seconds. `plain`: a token of plain decoding; `step`: one more draft; `passes[i]`: what else a round of i drafts takes, which is the
    pending token's way through the first n layers, and the others over i + 1 tokens; `start`: reading the prompt, once a text; `look`: to
    learn how likely a draft is and to decide by it.
    """

    plain: float
    step: float
    passes: tuple[float, ...]
    start: float = 0.0
    look: float = 0.0

    def round(self, drafted: int) -> float:
        return drafted * self.step + self.passes[drafted]


def costs_of(rows: Iterable[Mapping[str, Any]], dataset: str, method: str, exit_layer: int | None) -> Costs:
    """From the rows of the cost stage; raises `UserError` where something was not measured."""
    here = [row for row in rows if row["dataset"] == dataset]
    plain = [fmean(row["target_pass_seconds"]) for row in here if row["method"] == "baseline"]
    own = [row for row in here if (row["method"], row["exit_layer"]) == (method, exit_layer)]
    passes = sorted((row["tokens_in_pass"], fmean(row["target_pass_seconds"])) for row in own if "target_pass_seconds" in row)
    steps = [row for row in own if "draft_step_seconds" in row]
    if not plain or not passes or not steps:
        where = f"{method}{f' at exit layer {exit_layer}' if exit_layer else ''} on {dataset}"
        raise UserError(f"no measured cost of {where}; run the cost stage again")
    step, start, look = (fmean(steps[0][f"draft_{act}_seconds"]) for act in ("step", "start", "look"))
    return Costs(plain[0], step, tuple(seconds for _, seconds in passes), start, look)
