"""VisDial's metrics of ranked answers (Das et al., arXiv 1611.08669; NDCG and all details as in the VisDial challenge's starter code).

Equal scores count against the model, where the starter code leaves it to its sort: what is right stands behind what is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastvlm.metrics.bootstrap import mean, ratio
from fastvlm.table_file import Record

RECALLS = (1, 5, 10)


def rank_of(scores: np.ndarray, right: int) -> int:
    """The rank, from 1, of candidate `right` by `scores` [candidates], the higher the better."""
    return int((scores >= scores[right]).sum())


def ndcg(scores: np.ndarray, relevance: np.ndarray) -> float | None:
    """Normalised discounted cumulative gain at k, the number of relevant candidates; both are [candidates]; None where k is 0."""
    relevant = int((relevance != 0).sum())
    if not relevant:
        return None
    discounts = 1 / np.log2(np.arange(2, relevant + 2))
    ranked = relevance[np.lexsort((relevance, -scores))][:relevant]
    ideal = np.sort(relevance)[::-1][:relevant]
    return float(ranked @ discounts / (ideal @ discounts))


def summarise(rows: Sequence[Mapping[str, Any]], weights: np.ndarray, confidence: float) -> Record:
    """`mrr`, `r_at_1`, `r_at_5`, `r_at_10`, `mean_rank` and `ndcg`, each with `_low` and `_high`, of the rank stage's rows.

    `weights` is [resamples, rows] (`bootstrap.resample`), `confidence` 0 to 1. `rounds` and `dense_rounds` say how many rows
    the ranks and NDCG are of; what is of none is None.
    """
    ranks = np.array([row["rank"] for row in rows], dtype=np.float64)
    dense = np.array([row["ndcg"] is not None for row in rows], dtype=np.float64)
    gains = np.array([row["ndcg"] or 0.0 for row in rows], dtype=np.float64)
    measures = {"mrr": 1 / ranks} | {f"r_at_{k}": (ranks <= k).astype(np.float64) for k in RECALLS} | {"mean_rank": ranks}
    estimates = {name: mean(values, weights, confidence) for name, values in measures.items()}
    estimates["ndcg"] = ratio(gains, dense, weights, confidence)
    columns = {column: value for name, estimate in estimates.items() for column, value in estimate.columns(name).items()}
    return columns | {"rounds": len(rows), "dense_rounds": int(dense.sum())}
