"""How high the model ranks the human answer among the candidates of a round, and how high chance does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.errors import UserError
from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.dialogue import summarise
from fastvlm.metrics.examples import Examples
from fastvlm.rows import read_rows
from fastvlm.table_file import Record

METRICS = ("mrr", "r_at_1", "r_at_5", "r_at_10", "mean_rank", "ndcg")
CHANCE = ("chance_mrr", "chance_r_at_1", "chance_mean_rank")
COLUMNS = ("experiment", "model", "dataset", "examples", "rounds", "dense_rounds")
COLUMNS += (*(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")), *CHANCE)


def tabulate(knobs: Mapping[str, Any], experiment: str, paths: Sequence[Path], examples: Mapping[str, Examples]) -> list[Record]:
    """A record a model and dataset from the rows of the rank stage; none where nothing was ranked.

    Raises `UserError` where the rounds ranked are not all that have candidates in the manifest's test split.
    """
    places: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in paths:
        for row in _rows(path):
            places.setdefault((row["model"], row["dataset"]), []).append(row)
    return [{"experiment": experiment} | _record(knobs, place, rows, examples) for place, rows in places.items()]


def _record(knobs: Mapping[str, Any], place: tuple[str, str], rows: list[dict[str, Any]], examples: Mapping[str, Examples]) -> Record:
    model, dataset = place
    expected = {key for key, example in examples.get(dataset, {}).items() if example.dialogue and example.dialogue.candidates}
    ranked = [row["example"] for row in rows]
    if sorted(ranked) != sorted(expected):
        said = f"{len(ranked)} rounds ranked, {len(expected)} with candidates in the manifest's test split"
        raise UserError(f"{model}/{dataset}: {said}; run the rank stage again")
    weights = resample(len(rows), knobs["resamples"], np.random.default_rng(knobs["seed"]))
    found = summarise(rows, weights, knobs["confidence"])
    return {"model": model, "dataset": dataset, "examples": len(rows)} | found | chance([row["candidates"] for row in rows])


def chance(candidates: Sequence[int]) -> Record:
    """What is expected of an order drawn at random, by the number of candidates of each round."""
    harmonic = [sum(1 / rank for rank in range(1, count + 1)) / count for count in candidates]
    first, middle = [1 / count for count in candidates], [(count + 1) / 2 for count in candidates]
    return {name: sum(values) / len(candidates) for name, values in zip(CHANCE, (harmonic, first, middle), strict=True)}


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the rows that the rank stage writes")
    try:
        rows = read_rows(path)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON lines ({error.msg}); run the rank stage again") from None
    if any(not {"model", "dataset", "example", "candidates", "rank", "ndcg"} <= row.keys() for row in rows):
        raise UserError(f"{path}: not the rows that the rank stage writes; run it again")
    return rows
