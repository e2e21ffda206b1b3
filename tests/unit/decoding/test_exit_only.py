"""What is never verified: the drafter's own text, as a slow loop without a cache says it."""

from __future__ import annotations

import pytest

from fastvlm.decoding import autoregressive, exit_only
from fastvlm.decoding.drafters import EarlyExit
from tests import tiny


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family_target(request, tmp_path_factory):
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param, seed=3))


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_the_text_is_the_drafter_s_own(family_target, limit):
    target, exit_layer = family_target, 2
    prefix = target.prefill(target.prepare(tiny.examples(1)[0]), limit, {exit_layer})
    found = exit_only.decode(target.decoder, EarlyExit(exit_layer), prefix, limit=limit, end_tokens=frozenset())
    # The first is the full model's; then plain decoding of the model cut off at the exit layer.
    expected = [int(prefix.first)]
    prefix = target.prefill(target.prepare(tiny.examples(1)[0]), limit, {exit_layer})
    while len(expected) < limit:
        place, token = prefix.length + len(expected) - 1, prefix.first.new_tensor(expected[-1:])
        state = target.decoder.run(target.decoder.embed(token, place), prefix.cache, place, last=exit_layer)
        expected.append(int(target.decoder.head(state).argmax()))
    assert found.tokens == expected and found.passes == []


def test_it_ends_where_the_drafter_ends_it(family_target):
    target = family_target
    prefix = target.prefill(target.prepare(tiny.examples(1)[0]), 12, {1})
    whole = exit_only.decode(target.decoder, EarlyExit(1), prefix, limit=12, end_tokens=frozenset()).tokens
    end = whole[4]
    found = exit_only.decode(target.decoder, EarlyExit(1), prefix, limit=12, end_tokens={end}).tokens
    assert found == whole[: whole.index(end) + 1]


def test_it_is_lossy(family_target):
    target = family_target
    prefix = target.prefill(target.prepare(tiny.examples(1)[0]), 20, {1})
    plain = autoregressive.decode(target.decoder, prefix, limit=20, end_tokens=frozenset()).tokens
    assert exit_only.decode(target.decoder, EarlyExit(1), prefix, limit=20, end_tokens=frozenset()).tokens != plain
