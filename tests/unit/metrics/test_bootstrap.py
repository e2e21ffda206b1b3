"""The interval: reproducible, paired, around the estimate, and as wide as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fastvlm.metrics.bootstrap import Estimate, geometric_mean, ratio, resample

positive = st.floats(0.01, 100)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def pairs(draw):
    examples = draw(st.integers(1, 30))
    return draw(arrays(float, examples, elements=positive)), draw(arrays(float, examples, elements=positive))


@given(pairs(), seeds)
def test_interval_holds_the_ratio_of_sums(pair, seed):
    numerator, denominator = pair
    weights = resample(len(numerator), 300, np.random.default_rng(seed))
    value, low, high = ratio(numerator, denominator, weights, 0.95)
    assert value == pytest.approx(sum(numerator) / sum(denominator))
    assert low <= value * (1 + 1e-9)
    assert high >= value * (1 - 1e-9)


@given(pairs(), seeds)
def test_every_resample_is_a_ratio_of_drawn_examples(pair, seed):
    numerator, denominator = pair
    weights = resample(len(numerator), 50, np.random.default_rng(seed))
    assert (weights.sum(axis=1) == len(numerator)).all()
    loop = [
        sum(w * n for w, n in zip(row, numerator, strict=True)) / sum(w * d for w, d in zip(row, denominator, strict=True))
        for row in weights
    ]
    _, low, high = ratio(numerator, denominator, weights, 0.8)
    assert (low, high) == pytest.approx(tuple(np.quantile(loop, [0.1, 0.9])))


def test_pairing_cancels_what_both_share():
    baseline = np.array([1.0, 10.0, 100.0])
    weights = resample(3, 500, np.random.default_rng(0))
    assert ratio(baseline, baseline / 2, weights, 0.95) == pytest.approx((2, 2, 2))


def test_same_seed_same_interval_and_another_seed_another():
    numerator, denominator = np.arange(1.0, 9), np.arange(9.0, 1, -1)

    def interval(seed):
        return ratio(numerator, denominator, resample(8, 200, np.random.default_rng(seed)), 0.95)

    assert interval(1) == interval(1) != interval(2)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        denominator = generator.uniform(1, 2, 60)
        numerator = denominator * generator.normal(3, 1, 60)
        _, low, high = ratio(numerator, denominator, resample(60, 300, generator), 0.9)
        hits += low <= 3 <= high
    # Binomial(300, 0.9) is within these but once in 10^4 seeds; the percentile interval is a little narrow.
    assert 245 <= hits <= 290


def test_nothing_counted_is_no_estimate():
    weights = resample(3, 10, np.random.default_rng(0))
    assert ratio(np.zeros(3), np.zeros(3), weights, 0.95) == Estimate(None, None, None)


def test_resamples_without_the_only_counted_example_are_left_out():
    numerator, denominator = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 2])
    weights = resample(4, 100, np.random.default_rng(0))
    assert (weights[:, 3] == 0).any()
    assert ratio(numerator, denominator, weights, 0.95) == (0.5, 0.5, 0.5)


@given(pairs(), seeds)
def test_a_geometric_mean_of_one_ratio_is_the_ratio(pair, seed):
    weights = resample(len(pair[0]), 50, np.random.default_rng(seed))
    assert geometric_mean([(*pair, weights)], 0.9) == pytest.approx(ratio(*pair, weights, 0.9))


@given(st.lists(pairs(), min_size=1, max_size=5), seeds)
def test_a_geometric_mean_is_worked_out_anew_in_each_resample(cells, seed):
    weights = [resample(len(above), 40, np.random.default_rng((seed, index))) for index, (above, _) in enumerate(cells)]
    ratios = [(*pair, drawn) for pair, drawn in zip(cells, weights, strict=True)]
    means = [np.prod([(drawn[r] @ above) / (drawn[r] @ below) for above, below, drawn in ratios]) ** (1 / len(ratios)) for r in range(40)]
    value, low, high = geometric_mean(ratios, 0.8)
    assert value == pytest.approx(np.prod([above.sum() / below.sum() for above, below in cells]) ** (1 / len(cells)))
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.1, 0.9])))


@given(st.lists(pairs(), min_size=1, max_size=4), seeds)
def test_twice_as_fast_there_and_half_as_fast_here_is_no_gain(cells, seed):
    turned = [(below, above) for above, below in cells]
    ratios = [(*pair, resample(len(pair[0]), 20, np.random.default_rng(seed))) for pair in [*cells, *turned]]
    assert geometric_mean(ratios, 0.95) == pytest.approx((1, 1, 1))


def test_without_a_ratio_there_is_no_geometric_mean():
    nothing = (np.zeros(2), np.zeros(2), np.ones((3, 2)))
    assert geometric_mean([], 0.9) == geometric_mean([nothing], 0.9) == (None, None, None)
