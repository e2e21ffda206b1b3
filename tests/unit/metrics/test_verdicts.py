"""Intervals in words."""

import pytest

from fastvlm.metrics.verdicts import compare, interval_of, verdict


def interval(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1.01, 2, "faster than"), (0.5, 0.99, "slower than"), (0.9, 1.1, "not distinguishable"), (1, 1.2, "not distinguishable")],
)
def test_verdict(low, high, word):
    assert verdict(interval(low, high)) == f"{word} plain decoding".replace("able plain", "able from plain")


def test_without_a_measurement_there_is_no_verdict():
    nothing = {"value": None, "low": None, "high": None}
    assert verdict(nothing) == compare(nothing, interval(1, 2), ("fastvlm", "ssd")) == "not measured"


@pytest.mark.parametrize(
    ("ours", "rival", "words"),
    [
        ((2, 3), (1, 1.9), "fastvlm above ssd, intervals apart"),
        ((1, 1.9), (2, 3), "ssd above fastvlm, intervals apart"),
        ((1, 2), (1.9, 3), "intervals overlap"),
        ((1, 2), (2, 3), "intervals overlap"),
    ],
)
def test_comparison(ours, rival, words):
    assert compare(interval(*ours), interval(*rival), ("fastvlm", "ssd")) == words


def test_an_interval_that_a_line_does_not_have_is_empty():
    assert interval_of({"rate": 2, "rate_low": 1}, "rate") == {"value": 2, "low": 1, "high": None}
