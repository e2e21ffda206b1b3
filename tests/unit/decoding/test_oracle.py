"""The ceiling: every draft stands, and each has cost what the drafter's own would have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.decoding import autoregressive, speculative
from fastvlm.decoding.oracle import Oracle
from fastvlm.decoding.policies import Fixed
from tests import tiny


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family_target(request, tmp_path_factory):
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param, seed=3))


@settings(max_examples=15)
@given(draft_length=st.integers(1, 6), limit=st.integers(2, 25), end_at=st.integers(1, 25))
def test_every_draft_stands_and_was_paid_for(family_target, draft_length, limit, end_at):
    target = family_target
    prefix = target.prefill(target.prepare(tiny.examples(1)[0]), limit, {2})
    free = autoregressive.decode(target.decoder, prefix, limit=limit, end_tokens=frozenset()).tokens
    ends = {"limit": limit, "end_tokens": frozenset(free[end_at : end_at + 1])}
    expected = autoregressive.decode(target.decoder, prefix, **ends).tokens
    drafter = tiny.drafter(target, "transformer", 2)
    guesses, guess = [], drafter.guess
    drafter.guess = lambda hidden: guesses.append(1) or guess(hidden)
    oracle = Oracle(drafter)
    oracle.hear(expected)
    found = speculative.decode(target.decoder, oracle, prefix, policy=Fixed(draft_length), **ends)
    assert found.tokens == expected
    # The text may end inside a draft only with its last token.
    assert all(accepted == drafted for _, drafted, accepted in found.passes)
    assert len(guesses) == sum(drafted for _, drafted, _ in found.passes)
