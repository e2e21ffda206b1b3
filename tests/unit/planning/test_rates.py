"""Tokens per second: what is given comes before what is measured, and that before what is assumed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastvlm.errors import UserError
from fastvlm.planning.rates import Rate, assume, choose, parse_given, read_measured
from tests.unit.planning.models import SHAPE

MEASURED = {("a", "x"): 10.0, ("a", "y"): 20.0}


def test_an_assumed_token_reads_the_weights_and_starts_the_layers():
    rate = assume(SHAPE, "float32", "cpu")
    assert rate.origin == "assumed"
    assert rate.tokens_per_second == pytest.approx(1 / ((200 + 10 * 8) * 4 / 20e9 + 2 * 60e-6))


def test_a_gpu_reads_weights_while_it_starts_layers():
    assert assume(SHAPE, "float32", "cuda").tokens_per_second == pytest.approx(1 / (2 * 90e-6))
    wide = replace(SHAPE, hidden=10**9)
    assert assume(wide, "float16", "cuda").tokens_per_second == pytest.approx(1.5e12 / (2 * (200 + 10 * 10**9)))


def test_the_order_of_origins():
    assert choose("a", "x", {"a": 5.0}, MEASURED) == Rate(5.0, "given")
    assert choose("a", "x", {"b": 5.0}, MEASURED) == Rate(10.0, "measured")
    assert choose("a", "z", {}, MEASURED) == Rate(15.0, "measured")
    assert choose("b", "x", {}, MEASURED) is None


def test_plain_decoding_of_a_finished_run_is_read(tmp_path):
    assert read_measured(tmp_path) == {}
    lines = ["model,dataset,method,decode_tokens_per_second", "a,x,baseline,10.5", "a,x,ssd,99", "a,y,baseline,"]
    (tmp_path / "speedup.csv").write_text("\n".join(lines) + "\n")
    assert read_measured(tmp_path) == {("a", "x"): 10.5}


def test_given_rates_are_parsed():
    assert parse_given(["a=3.5", "b=2"], ["a", "b"]) == {"a": 3.5, "b": 2.0}


@pytest.mark.parametrize(
    ("pair", "line"),
    [
        ("c=1", "no model 'c' in the configuration; expected one of a, b"),
        ("a=0", "found '0', expected a number above 0"),
        ("a=-1", "found '-1', expected a number above 0"),
        ("a=fast", "found 'fast', expected a number above 0"),
        ("a=inf", "found 'inf', expected a number above 0"),
        ("a=nan", "found 'nan', expected a number above 0"),
        ("a", "found '', expected a number above 0, as in a=30"),
    ],
)
def test_bad_rates_are_refused(pair, line):
    with pytest.raises(UserError, match=f"^--tokens-per-second {pair}: {line}"):
        parse_given([pair], ["a", "b"])
