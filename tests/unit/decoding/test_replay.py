"""Replaying plain decoding: its logits are those that it chose by, and a gap is what they say of two tokens."""

from __future__ import annotations

import pytest
import torch

from fastvlm.decoding import autoregressive
from fastvlm.decoding.replay import Replay
from tests import tiny
from tests.test_parity import read

EXAMPLE = tiny.examples(1)[0]
LENGTH = 9


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def loaded(request, tmp_path_factory):
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture
def replay(loaded):
    inputs = loaded.prepare(EXAMPLE)
    prefix = loaded.prefill(inputs, LENGTH)
    said = autoregressive.decode(loaded.decoder, prefix, limit=LENGTH, end_tokens=frozenset()).tokens
    return Replay(loaded, inputs, said)


def whole_pass(target, tokens):
    """Logits of prompt and text in one pass, at the positions that predict the text."""
    hidden, cache = read(target, EXAMPLE, torch.tensor(tokens[:-1]))
    return target.decoder.head(target.decoder.run(hidden, cache, 0))[-len(tokens) :]


def other_than(token):
    return 7 if token != 7 else 8


def test_logits_are_those_of_the_whole_text(loaded, replay):
    torch.testing.assert_close(replay.logits, whole_pass(loaded, replay.tokens))
    assert replay.logits.argmax(-1).tolist() == replay.tokens


@pytest.mark.parametrize("position", [0, 4, LENGTH - 1])
def test_a_gap_is_own_logit_minus_the_other_token_s(loaded, replay, position):
    other = other_than(replay.tokens[position])
    text = [*replay.tokens[:position], other, *replay.tokens[position + 1 :]]
    expected = whole_pass(loaded, replay.tokens)[position]
    found = replay.gap(text, position)
    assert found == pytest.approx(float(expected[replay.tokens[position]] - expected[other])) and found > 0


def test_what_is_equal_or_ends_earlier_has_no_gap_and_costs_nothing(replay):
    assert replay.gap(replay.tokens, None) is None
    assert replay.gap(replay.tokens[:3], 3) is None
    assert replay.gap([*replay.tokens, 5], LENGTH) is None
    assert "logits" not in vars(replay)
