"""Probabilities against transformers' own and against plain sums; draws against what they are drawn from."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper

from fastvlm.decoding.sampling import Sampling, draw, probabilities, residual

LOGITS = st.lists(st.integers(-40, 40), min_size=1, max_size=12).map(lambda values: [value / 4 for value in values])
TEMPERATURES = st.floats(0.05, 5)
TOP_K = st.none() | st.integers(1, 14)
TOP_P = st.none() | st.floats(0.01, 1)


def shaped(logits, **how):
    return probabilities(torch.tensor([logits], dtype=torch.float64), Sampling(**how))[0]


@given(LOGITS, TEMPERATURES, TOP_K, TOP_P)
def test_probabilities_sum_to_one_and_keep_the_order(logits, temperature, top_k, top_p):
    found = shaped(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    assert float(found.min()) >= 0
    in_order = [chance for _, chance in sorted(zip(logits, found.tolist(), strict=True))]
    assert in_order == sorted(in_order)
    assert len(set(zip(logits, found.tolist(), strict=True))) == len(set(logits))  # ties share their probability


@given(LOGITS, TEMPERATURES, TOP_K)
def test_top_k_keeps_the_likeliest_and_all_that_tie_with_the_last(logits, temperature, top_k):
    kept = shaped(logits, temperature=temperature, top_k=top_k) > 0
    least = sorted(logits, reverse=True)[min(top_k or len(logits), len(logits)) - 1]
    softmax = torch.tensor(logits, dtype=torch.float64).sub(max(logits)).div(temperature).softmax(-1)
    assert kept.tolist() == [logit >= least and chance > 0 for logit, chance in zip(logits, softmax.tolist(), strict=True)]


@given(LOGITS, TEMPERATURES, TOP_P.filter(bool))
def test_top_p_keeps_the_fewest_that_reach_it_and_all_that_tie_with_the_last(logits, temperature, top_p):
    whole = shaped(logits, temperature=temperature).tolist()
    for chance, kept in zip(whole, shaped(logits, temperature=temperature, top_p=top_p).tolist(), strict=True):
        likelier = math.fsum(other for other in whole if other > chance)
        assume(abs(likelier - top_p) > 1e-9)
        assert (kept > 0) == (likelier < top_p and chance > 0)


@given(st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True), TEMPERATURES, st.integers(1, 14), st.floats(0.01, 0.99))
def test_equals_transformers_where_nothing_ties(values, temperature, top_k, top_p):
    logits = torch.tensor([values], dtype=torch.float64) / 4
    scores = TopKLogitsWarper(top_k)(None, logits / temperature)
    sums = scores.softmax(-1).sort(descending=True).values.cumsum(-1)
    assume(float((sums - top_p).abs().min()) > 1e-9)
    expected = TopPLogitsWarper(top_p)(None, scores).softmax(-1)
    torch.testing.assert_close(probabilities(logits, Sampling(temperature, top_k, top_p)), expected, atol=1e-12, rtol=0)


@given(LOGITS)
def test_a_small_temperature_leads_to_the_greedy_choice(logits):
    found = shaped(logits, temperature=1e-6)
    best = [value == max(logits) for value in logits]
    assert found.tolist() == pytest.approx([is_best / sum(best) for is_best in best], abs=1e-12)


def test_nothing_is_cut_by_top_k_of_all_or_top_p_of_one():
    logits = [1.0, 0.0, 0.0, -3.0]
    plain = torch.tensor(logits, dtype=torch.float64).softmax(-1)
    for how in ({}, {"top_k": 4}, {"top_k": 9}, {"top_p": 1.0}):
        torch.testing.assert_close(shaped(logits, temperature=1.0, **how), plain, atol=1e-15, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_shaped_in_float32(dtype):
    found = probabilities(torch.tensor([[3.0, 1.0, -2.0]], dtype=dtype), Sampling(0.7, 2, 0.99))
    assert found.dtype == torch.float32
    assert float(found.sum()) == pytest.approx(1, abs=1e-6)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=6), st.lists(st.integers(0, 9), min_size=2, max_size=6))
def test_the_residual_is_what_q_lacks(ours, theirs):
    size = min(len(ours), len(theirs))
    p, q = (torch.tensor([values[:size]], dtype=torch.float64) for values in (ours, theirs))
    assume(p.sum() > 0 and q.sum() > 0)
    p, q = p / p.sum(), q / q.sum()
    found = residual(p, q)[0]
    lacking = [max(0.0, a - b) for a, b in zip(p[0].tolist(), q[0].tolist(), strict=True)]
    expected = [value / sum(lacking) if sum(lacking) else 0.0 for value in lacking]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_draws_come_as_often_as_their_weights_say_and_never_without_one():
    weights = torch.tensor([[0.0, 3.0, 1.0, 0.0, 4.0]]).expand(80_000, -1)
    counts = draw(weights, torch.Generator().manual_seed(1)).bincount(minlength=5).tolist()
    assert (counts[0], counts[3]) == (0, 0)
    # Five standard deviations: a false alarm in a million.
    for count, share in zip((counts[1], counts[2], counts[4]), (3 / 8, 1 / 8, 1 / 2), strict=True):
        assert abs(count - 80_000 * share) < 5 * math.sqrt(80_000 * share * (1 - share))


def test_rows_are_drawn_apart_and_a_seed_draws_the_same():
    weights = torch.ones(64, 8)
    first, again, other = (draw(weights, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert len(set(first.tolist())) > 1
