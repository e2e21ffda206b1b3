"""Paired bootstrap over examples, of a ratio of sums or of any statistic that is worked out for each resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A ratio with its interval; all three are `None` where nothing was counted."""

    value: float | None
    low: float | None
    high: float | None

    def columns(self, name: str) -> dict[str, float | None]:
        """The estimate as three columns of a table."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def resample(examples: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each example is drawn: [resamples, examples], each row summing to `examples`.

    One such array serves all settings of a model and dataset, so that their intervals are of the same draws.
    """
    return generator.multinomial(examples, np.full(examples, 1 / examples), size=resamples).astype(np.float64)


def ratio(numerator: np.ndarray, denominator: np.ndarray, weights: np.ndarray, confidence: float) -> Estimate:
    """Sum of `numerator` over sum of `denominator` (both [examples]), with the percentile interval at `confidence` (0 to 1).

    Resamples in which nothing was counted say nothing about the ratio and are left out.
    """
    if not denominator.sum() > 0:
        return Estimate(None, None, None)
    below = weights @ denominator
    ratios = (weights @ numerator)[below > 0] / below[below > 0]
    value = float(numerator.sum() / denominator.sum())
    if not ratios.size:
        return Estimate(value, None, None)
    return Estimate(value, *interval(ratios, confidence))


def mean(values: np.ndarray, weights: np.ndarray, confidence: float) -> Estimate:
    """Mean of `values` [examples] with its interval."""
    return ratio(values, np.ones_like(values), weights, confidence)


def geometric_mean(ratios: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], confidence: float) -> Estimate:
    """Of ratios of sums, with the percentile interval.

    Each is (numerator [examples], denominator [examples], weights [resamples, examples]). In resample r each ratio is that of its own
    r-th draw. Resamples in which one of them has nothing above or below its line are left out.
    """
    values = [(above.sum(), below.sum()) for above, below, _ in ratios]
    if not values or not np.all(np.array(values) > 0):
        return Estimate(None, None, None)
    value = float(np.exp(np.mean([np.log(above / below) for above, below in values])))
    sums = np.array([(weights @ above, weights @ below) for above, below, weights in ratios])  # [ratios, 2, resamples]
    sums = sums[:, :, (sums > 0).all((0, 1))]
    if not sums.size:
        return Estimate(value, None, None)
    return Estimate(value, *interval(np.exp(np.log(sums[:, 0] / sums[:, 1]).mean(0)), confidence))


def interval(resampled: np.ndarray, confidence: float) -> tuple[float, float]:
    """The percentile interval at `confidence` (0 to 1) of a statistic's values in the resamples, [resamples]."""
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
