"""The fit stage: draft-length policies from what was observed on validation and what an act costs. Test is never looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.decoding.calibration import Calibration
from fastvlm.decoding.costs import Costs, costs_of
from fastvlm.decoding.observed import Text, rate_of
from fastvlm.decoding.policies import Confidence, Context, Goodput, Steady
from fastvlm.decoding.pooled_costs import pooled
from fastvlm.errors import UserError
from fastvlm.rows import read_rows, write_json

THRESHOLDS = (0.0, *(step / 20 for step in range(1, 20)), 0.98)
CURVE_BINS = 6  # of the curve of acceptance by context, each with as many drafts
FEWEST_DRAFTS = 100  # in such a bin
KNOWN_TO = 0.02  # costs: measured twice in some minutes they differ by 1 to 3 %
NEAR = (1.0, 0.7, 0.85, 1.15)  # of the rate found; what is estimated is not what happens
SOUGHT = 20  # times that the best rate is sought anew; it rises to its fixed point, mostly in three


def fit(knobs: dict[str, Any], observations: Path, costs: Path, output: Path) -> None:
    """Write a list of fitted policies, one a dataset, exit layer and policy that is no fixed length.

    Knobs: `method`, `datasets` (all that are decoded), `exit_layers`, `longest_draft`. A dataset without validation examples gets what
    fits the model's other datasets together. Raises `UserError` where nothing was observed.
    """
    rows, measured = read_rows(observations), pooled(read_rows(costs))
    fitted, longest = [], knobs["longest_draft"]
    for exit_layer in knobs["exit_layers"]:
        seen = [row for row in rows if row["exit_layer"] == exit_layer]
        if not seen:
            where = f" at exit layer {exit_layer}" if exit_layer else ""
            raise UserError(f"{observations}: nothing{where}; policies need a dataset with validation examples")
        for dataset in knobs["datasets"]:
            here = [row for row in seen if row["dataset"] == dataset] or seen
            texts = [Text.of(row["rounds"], longest, ends_in_draft=row["ends_in_draft"]) for row in here]
            spent = costs_of(measured, dataset, knobs["method"], exit_layer)
            key = {"dataset": dataset, "exit_layer": exit_layer}
            fitted += [key | found for found in fit_all(texts, spent, longest)]
    write_json(output, fitted)


def fit_all(texts: Sequence[Text], costs: Costs, length: int) -> list[dict[str, Any]]:
    """The three policies as `policies.load` reads them; drafts are at most `length` long."""
    return [_confidence(texts, costs, length), _context(texts, costs, length), _goodput(texts, costs, length)]


def _confidence(texts: Sequence[Text], costs: Costs, length: int) -> dict[str, Any]:
    best = max(THRESHOLDS, key=lambda threshold: rate_of(Confidence(length, threshold), texts, costs))
    return {"policy": "confidence", "length": length, "threshold": best}


def _context(texts: Sequence[Text], costs: Costs, length: int) -> dict[str, Any]:
    """From the best fixed length on, bin after bin of the curve, the draft length that gives the most tokens a second when rounds that
    begin there have it."""
    places = sorted(text.context + place for text in texts for place in range(len(text.drafts))) or [0]
    begins = sorted({int(inside[0]) for inside in np.array_split(places, max(1, min(CURVE_BINS, len(places) // FEWEST_DRAFTS)))})
    lengths = [_best_fixed(texts, costs, length)] * len(begins)

    def rate_with(bin_: int, drafted: int) -> float:
        return rate_of(Context(begins, [*lengths[:bin_], drafted, *lengths[bin_ + 1 :]]), texts, costs)

    for bin_ in range(len(begins)):
        lengths[bin_] = max(range(1, length + 1), key=partial(rate_with, bin_))
    return {"policy": "context", "begins": begins, "lengths": lengths}


def _best_fixed(texts: Sequence[Text], costs: Costs, length: int) -> int:
    """Of the lengths up to `length` that which gives the most tokens a second."""
    return max(range(1, length + 1), key=lambda fixed: rate_of(Steady(fixed), texts, costs))


def _goodput(texts: Sequence[Text], costs: Costs, length: int) -> dict[str, Any]:
    """Plain decoding, the longest drafts, those of one length, or the rule at the rate at which it reaches what it assumes or near it: each
    only where it promises more than the one before it, by more than costs are known to."""
    tested = [
        (draft.confidence, text.context + place, draft.stands)
        for text in texts
        for place, draft in enumerate(text.drafts)
        if draft.stands is not None
    ]
    plain = 1 / costs.plain
    if not tested:
        return {"policy": "goodput", "drafts": False}
    estimate, rate = Calibration.fit(*zip(*tested, strict=True)), plain
    for _ in range(SOUGHT):
        reached = rate_of(Goodput(length, costs, estimate, rate), texts, replace(costs, start=0.0))
        if reached <= rate * (1 + 1e-9):
            break
        rate = reached
    reached_at = {rate * near: rate_of(Goodput(length, costs, estimate, rate * near), texts, costs) for near in NEAR}
    rate = max(reached_at, key=reached_at.__getitem__)
    best = _best_fixed(texts, costs, length)
    # Texts that end one draft behind a shorter length cost a pass more, so that it is easily taken for faster.
    if not _surely(rate_of(Steady(best), texts, costs), rate_of(Steady(length), texts, costs)):
        best = length
    steady = rate_of(Steady(best), texts, costs)
    if not _surely(reached_at[rate], steady):
        return {"policy": "goodput", "drafts": _surely(steady, plain), "steady": best}
    fitted = {"length": length, "costs": asdict(costs), "estimate": asdict(estimate), "rate": rate}
    return {"policy": "goodput", "drafts": _surely(reached_at[rate], plain), **fitted}


def _surely(rate: float, than: float) -> bool:
    return rate > than * (1 + KNOWN_TO)
