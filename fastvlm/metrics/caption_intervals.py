"""Bootstrap intervals of caption metrics.

BLEU and METEOR score a collection by sums over its examples, not by a mean: the sums are drawn again, and scored as pycocoevalcap
scores them. ROUGE-L, CIDEr and SPICE are means over examples; CIDEr's word frequencies stay those of the whole collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastvlm.metrics.bootstrap import interval

Statistics = Mapping[str, Any]

# Of pycocoevalcap's bleu_scorer.py.
TINY, SMALL = 1e-15, 1e-9
# Of Meteor 1.5, English: its README's default parameters. Stages are exact, stem, synonym, paraphrase; kinds are content, function words.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
STAGE_WEIGHTS, KIND_WEIGHTS = (1.0, 0.6, 0.8, 0.6), (DELTA, 1 - DELTA)


def intervals(statistics: Statistics, weights: np.ndarray, confidence: float) -> dict[str, float]:
    """`<metric>_low` and `<metric>_high` of every metric; `weights` is [resamples, examples], `confidence` 0 to 1."""
    drawn = {metric: interval(values, confidence) for metric, values in resampled(statistics, weights).items()}
    return {f"{metric}_{end}": value for metric, ends in drawn.items() for end, value in zip(("low", "high"), ends, strict=True)}


def resampled(statistics: Statistics, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of every resample, each [resamples], from the statistics that `coco_scores` writes."""
    bleus = bleu(np.array(statistics["bleu"], dtype=np.float64), weights)
    scores = {f"bleu_{n}": values for n, values in enumerate(bleus.T, start=1)}
    averaged = [metric for metric in ("rouge_l", "cider", "spice") if metric in statistics]
    means = {metric: weights @ np.array(statistics[metric]) / weights.sum(axis=1) for metric in averaged}
    return scores | {"meteor": meteor(np.array(statistics["meteor"], dtype=np.float64), weights)} | means


def bleu(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """BLEU-1 to 4, [resamples, 4], of `counts` [examples, 10].

    N-grams right (4), n-grams made (4), words of the text (1), of the reference that is closest in length (1).
    """
    right, made, length, reference = np.split(weights @ counts, (4, 8, 9), axis=1)
    precision = np.cumprod((right + TINY) / (made + SMALL), axis=1) ** (1 / np.arange(1, 5))
    ratio = (length + TINY) / (reference + SMALL)
    return precision * np.exp(np.minimum(1 - 1 / ratio, 0))


def meteor(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """METEOR, [resamples], of `statistics` [examples, 23]: the numbers that Meteor's SCORE writes, text before reference in each pair.

    Words (2), function words (2), words matched by stage, kind and side (4 x 2 x 2), chunks (1), all words matched (2).
    """
    words, function, matches, chunks, matched = np.split(weights @ _without_whole_chunks(statistics), (2, 4, 20, 21), axis=1)
    matches = matches.reshape(-1, len(STAGE_WEIGHTS), len(KIND_WEIGHTS), 2)
    # Where nothing matches, zeros are divided by zeros; Meteor calls that a score of 0, too.
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.einsum("rskt,s,k->rt", matches, STAGE_WEIGHTS, KIND_WEIGHTS) / (DELTA * (words - function) + (1 - DELTA) * function)
        mean = 1 / ((1 - ALPHA) / shares[:, 0] + ALPHA / shares[:, 1])
        fragments = chunks[:, 0] / matched.mean(axis=1)
        return np.nan_to_num(mean * (1 - GAMMA * fragments**BETA))


def _without_whole_chunks(statistics: np.ndarray) -> np.ndarray:
    # A text that is its reference is one chunk, which Meteor leaves out of the sum.
    words, matched, chunks = statistics[:, :2], statistics[:, 21:], statistics[:, 20]
    whole = (words == matched).all(axis=1) & (chunks == 1)
    return np.where(whole[:, None] & (np.arange(statistics.shape[1]) == 20), 0, statistics)
