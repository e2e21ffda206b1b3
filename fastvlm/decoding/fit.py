"""The fit stage: draft-length policies from what was observed on validation and what an act costs. Test is never looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastvlm.decoding.calibration import Calibration
from fastvlm.decoding.costs import Costs, costs_of
from fastvlm.decoding.policies import Confidence, Fixed, Goodput, Policy, Steady
from fastvlm.errors import UserError
from fastvlm.rows import read_rows, write_json


class Text(NamedTuple):
    """The `rounds` of an observed text: [context, accepted, the drafter's probability of each draft]."""

    rounds: Sequence[Sequence[Any]]
    ends_in_draft: bool = False


THRESHOLDS = (0.0, *(step / 20 for step in range(1, 20)), 0.98)
CURVE_BINS = 6  # of the curve of acceptance by context, each with as many rounds
FEWEST_ROUNDS = 12  # in such a bin
NEAR = (1.0, 0.7, 0.85, 1.15)  # of the rate found; what is estimated is not what happens
SURE = 2.0  # standard errors by which another policy must win to be taken for the simpler one
SOUGHT = 20  # times that the best rate is sought anew; it rises to its fixed point, mostly in three


def fit(knobs: dict[str, Any], observations: Path, costs: Path, output: Path) -> None:
    """Write a list of fitted policies, one a dataset, exit layer and policy that is no fixed length.

    Knobs: `method`, `datasets` (all that are decoded), `exit_layers`, `longest_draft`. A dataset without validation examples gets what
    fits the model's other datasets together. Raises `UserError` where nothing was observed.
    """
    rows, measured = read_rows(observations), read_rows(costs)
    fitted = []
    for exit_layer in knobs["exit_layers"]:
        seen = [row for row in rows if row["exit_layer"] == exit_layer]
        if not seen:
            where = f" at exit layer {exit_layer}" if exit_layer else ""
            raise UserError(f"{observations}: nothing{where}; policies need a dataset with validation examples")
        for dataset in knobs["datasets"]:
            texts = [Text(row["rounds"], row["ends_in_draft"]) for row in seen if row["dataset"] == dataset]
            texts = texts or [Text(row["rounds"], row["ends_in_draft"]) for row in seen]
            spent = costs_of(measured, dataset, knobs["method"], exit_layer)
            key = {"dataset": dataset, "exit_layer": exit_layer}
            fitted += [key | found for found in fit_all(texts, spent, knobs["longest_draft"])]
    write_json(output, fitted)


def fit_all(texts: Sequence[Text], costs: Costs, length: int) -> list[dict[str, Any]]:
    """The three policies as `policies.load` reads them; drafts are at most `length` long."""
    return [_confidence(texts, costs, length), _context(texts, costs, length), _goodput(texts, costs, length)]


def replay(policy: Policy, texts: Iterable[Text], costs: Costs) -> tuple[int, float]:
    """Tokens and seconds of the observed rounds, had `policy` decided how much of each draft to verify.

    A draft that is dropped has cost a step, one that is looked at a look. Each text costs a start if any round of it drafts.
    """
    tokens, seconds = 0, 0.0
    for text in texts:
        policy.start()
        starts = False
        for number, observed in enumerate(text.rounds, start=1):
            ends = text.ends_in_draft and number == len(text.rounds)
            for kept, guessed, gained in _rounds(policy, *observed, ends=ends):
                tokens += gained
                seconds += costs.passes[kept] + guessed * (costs.step + costs.look * policy.watches)
                starts |= guessed > 0
        seconds += starts * costs.start
    return tokens, seconds


def _rounds(policy: Policy, context: int, accepted: int, confidences: Sequence[float], *, ends: bool) -> Iterator[tuple[int, int, int]]:
    """What the policy makes of an observed round: in each of its own, drafts verified, drafts paid for and tokens gained.

    Where it verifies fewer than stood, the full model's token is the draft that came next, and the drafter, who reads the same text as
    then, goes on behind it. What that leaves of the observed round must be counted: of a short text it may be a whole pass more.
    """
    while True:
        kept, guessed = _kept(policy, context, confidences)
        policy.learn(kept, min(accepted, kept))
        yield kept, guessed, min(accepted, kept) + (kept < accepted or not ends)
        done = kept + 1
        # Nothing is known of drafts behind those that were observed.
        if kept >= accepted or done == len(confidences):
            return
        context, accepted, confidences = context + done, accepted - done, confidences[done:]


def _kept(policy: Policy, context: int, confidences: Sequence[float]) -> tuple[int, int]:
    """How many of a round's drafts the policy verifies, and for how many it pays."""
    sought = confidences[: policy.most(context)]
    if policy.watches:
        for drafted, confidence in enumerate(sought):
            if not policy.goes_on():
                return drafted, drafted
            if not policy.wants(confidence):
                return drafted, drafted + 1
    return len(sought), len(sought)


def _rate(policy: Policy, texts: Iterable[Text], costs: Costs) -> float:
    tokens, seconds = replay(policy, texts, costs)
    return tokens / seconds if seconds else 0.0


def surely_faster(policy: Policy, simpler: Policy, texts: Sequence[Text], costs: Costs) -> bool:
    """By more than `SURE` standard errors over texts: what is fitted on few of them seems better than it is. (As the rule of one standard
    error, Breiman et al., Classification and Regression Trees, 1984, and surer.)"""
    worth = 1 / (_rate(simpler, texts, costs) or 1.0)  # of a token, seconds; the two do not end an observed text at the same one
    spared = np.array([_seconds(simpler, text, costs, worth) - _seconds(policy, text, costs, worth) for text in texts])
    return len(spared) > 1 and bool(spared.sum() > SURE * spared.std(ddof=1) * len(spared) ** 0.5)


def _seconds(policy: Policy, text: Text, costs: Costs, worth: float) -> float:
    """Beyond what the text's tokens are worth."""
    tokens, seconds = replay(policy, [text], costs)
    return seconds - tokens * worth


def _confidence(texts: Sequence[Text], costs: Costs, length: int) -> dict[str, Any]:
    best = max(THRESHOLDS, key=lambda threshold: _rate(Confidence(length, threshold), texts, costs))
    return {"policy": "confidence", "length": length, "threshold": best}


def _context(texts: Sequence[Text], costs: Costs, length: int) -> dict[str, Any]:
    """In each bin of the curve, the draft length that gives the most tokens a second there."""
    rounds = sorted((one for text in texts for one in text.rounds), key=lambda one: one[0])
    bins = np.array_split(np.arange(len(rounds)), max(1, min(CURVE_BINS, len(rounds) // FEWEST_ROUNDS)))
    curve: dict[int, int] = {}
    for members in bins:
        inside = [rounds[index] for index in members]
        best = max(range(1, length + 1), key=lambda drafted: _rate(Fixed(drafted), [Text(inside)], Costs(costs.step, costs.passes)))
        curve.setdefault(inside[0][0] if inside else 0, best)
    return {"policy": "context", "begins": list(curve), "lengths": list(curve.values())}


def _goodput(texts: Sequence[Text], costs: Costs, length: int) -> dict[str, Any]:
    """The rate at which the rule reaches what it assumes, or one near it that reaches more; one length, where the rule does not surely
    reach more than that; and whether any of it beats plain decoding."""
    tested = [
        (confidence, context + place, place < accepted)
        for text in texts
        for context, accepted, confidences in text.rounds
        for place, confidence in enumerate(confidences[: accepted + 1])
    ]
    plain = 1 / costs.passes[0]
    if not tested:
        return {"policy": "goodput", "drafts": False}
    estimate, rate = Calibration.fit(*zip(*tested, strict=True)), plain
    for _ in range(SOUGHT):
        reached = _rate(Goodput(length, costs, estimate, rate), texts, replace(costs, start=0.0))
        if reached <= rate * (1 + 1e-9):
            break
        rate = reached
    reached_at = {rate * near: _rate(Goodput(length, costs, estimate, rate * near), texts, costs) for near in NEAR}
    rate = max(reached_at, key=reached_at.__getitem__)
    steady = {fixed: _rate(Steady(fixed), texts, costs) for fixed in range(1, length + 1)}
    best = max(steady, key=steady.__getitem__)
    # Of the lengths too the longest is left only for what is surely faster: one draft short of a text's end costs a pass.
    if not surely_faster(Steady(best), Steady(length), texts, costs):
        best = length
    if not surely_faster(Goodput(length, costs, estimate, rate), Steady(best), texts, costs):
        return {"policy": "goodput", "drafts": steady[best] > plain, "steady": best}
    fitted = {"length": length, "costs": asdict(costs), "estimate": asdict(estimate), "rate": rate}
    return {"policy": "goodput", "drafts": reached_at[rate] > plain, **fitted}
