"""A network with a cache of its own must guess as if it had read the whole text at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.decoding.drafters import Bounds, PromptLookup
from fastvlm.decoding.policies import Fixed
from fastvlm.imitation.network import build_network
from fastvlm.models.target import Prefix
from tests import tiny


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family_target(request, tmp_path_factory):
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param))


@settings(max_examples=30)
@given(
    rounds=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1, max_size=6),
    seed=st.integers(0, 99),
    layers=st.integers(1, 3),
)
def test_cached_guesses_equal_uncached(family_target, rounds, seed, layers):
    """Any history of rounds, each of some drafts of which some stand; rounds without a draft, and with a guess that is dropped, too."""
    torch.manual_seed(seed)
    backbone = family_target.backbone
    network = build_network("transformer", backbone.language.config, layers=layers).double().requires_grad_(False)
    drafter = tiny.TransformerImitation(2, family_target.decoder.with_layers(network.layers))
    text = torch.randn(4, 16, dtype=torch.float64)
    memory = torch.randn(6, 16, dtype=torch.float64) if backbone.encoder else None
    seen_memory = () if memory is None else (memory.unsqueeze(0), torch.ones(1, 6, dtype=torch.bool))
    drafter.start(Prefix(None, len(text), None, {2: text}, memory), 64)
    for drafted, accepted, dropped in rounds:
        accepted = min(drafted, accepted)
        states = torch.randn(drafted + 1, 16, dtype=torch.float64)
        for step in range(drafted + dropped):
            seen = torch.cat((text, states[: step + 1]))
            expected = network(seen.unsqueeze(0), *seen_memory)[0, -1]
            # T5's own norm works out the variance in float32, layer after layer.
            torch.testing.assert_close(drafter.guess(states[step : step + 1])[0], expected, rtol=1e-6, atol=1e-6)
        drafter.keep(states, accepted)
        text = torch.cat((text, states[: accepted + 1]))


def test_mlp_starts_as_the_bare_early_exit(target):
    network = build_network("mlp", target.backbone.language.config, layers=2)
    hidden = torch.randn(3, 16)
    assert torch.equal(network(hidden), hidden)


def test_prompt_lookup_drafts_what_followed_the_longest_match(target):
    drafter, decoder = PromptLookup(), target.decoder
    prefix = target.prefill(target.prepare(tiny.examples(1)[0]), 20)
    prompt = [1, 2, 3, 9, 8, 7, 2, 3, 5, 6]
    drafter.start(replace(prefix, prompt=torch.tensor(prompt)), 20)

    def draft(text, most=3, ends=()):
        drafts, states = drafter.draft(decoder, prefix.cache, text, torch.tensor(text[-1:]), Bounds(most, ends, Fixed(most)))
        assert torch.equal(states, decoder.embed(torch.cat((torch.tensor(text[-1:]), drafts)), prefix.cache.length))
        return drafts.tolist()

    assert draft([4]) == []
    assert draft([4, 1, 2]) == [3, 9, 8]
    assert draft([4, 1, 2, 3]) == [9, 8, 7]  # the longest match before the latest
    assert draft([4, 1, 2, 3], ends={8}) == [9, 8]
    assert draft([4, 1, 2, 3], most=0) == []
    assert draft([4, 1, 2, 3, 2, 3]) == [2, 3]  # the latest of equally long ones
