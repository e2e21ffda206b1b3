"""Passes at fixed addresses say what other passes say, whoever used the memory before; without the recording, which needs a GPU."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.decoding import autoregressive, speculative
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.skipping import SkipDrafter
from fastvlm.models import recorded
from fastvlm.models.recorded import MOST_TOKENS, ROUNDED, Pass, Rooms
from tests import tiny

NOTHING_ENDS: frozenset[int] = frozenset()
EXAMPLES = tiny.examples(4)


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def pair(request, tmp_path_factory):
    """The same model, float64, with ordinary caches and with rooms; LLaVA with grouped key/value heads."""
    kv_heads = 2 if request.param == "llava" else 4
    folder = tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param, seed=3, kv_heads=kv_heads)
    return tiny.load(folder), with_rooms(tiny.load(folder))


def with_rooms(target):
    target.decoder.rooms = Rooms(Pass)
    return target


def prefill(target, example, limit, exit_layer):
    return target.prefill(target.prepare(example), limit, {exit_layer})


@settings(max_examples=25)
@given(
    example=st.sampled_from(EXAMPLES),
    limit=st.integers(1, 40),
    exit_layer=st.integers(1, tiny.LAYERS - 1),
    draft_length=st.integers(1, MOST_TOKENS + 2),
    method=st.sampled_from(["mlp", "transformer", "skips"]),
)
def test_texts_are_those_of_ordinary_caches(pair, example, limit, exit_layer, draft_length, method):
    found = []
    for target in pair:
        prefix = prefill(target, example, limit, exit_layer)
        ends = {"limit": limit, "end_tokens": NOTHING_ENDS}
        plain = autoregressive.decode(target.decoder, prefix, **ends).tokens
        thinner = target.decoder.without({1}, {2})
        drafter = SkipDrafter(thinner) if method == "skips" else tiny.drafter(target, method, exit_layer)
        if method == "transformer" and target.decoder.rooms:
            drafter.network.rooms = Rooms(Pass)
        spoken = speculative.decode(target.decoder, drafter, prefix, policy=Fixed(draft_length), **ends)
        assert spoken.tokens == plain
        found.append((plain, spoken.passes))
    assert found[0] == found[1]


@pytest.mark.parametrize("tokens", [1, 5, MOST_TOKENS])
def test_states_are_those_of_ordinary_caches(pair, tokens):
    states = []
    for target in pair:
        prefix = prefill(target, EXAMPLES[0], 2 * tokens, 1)
        decoder, start = target.decoder, prefix.length
        for _ in range(2):  # the second behind what the first wrote
            embedded = decoder.embed(torch.arange(10, 10 + tokens), start)
            states.append(decoder.run(embedded, prefix.cache, start))
            start += tokens
    for ordinary, fixed in zip(states[:2], states[2:], strict=True):
        torch.testing.assert_close(fixed, ordinary)


def test_a_room_is_free_again_when_nobody_holds_its_cache(pair):
    decoder = with_rooms(pair[1]).decoder
    memory = torch.zeros(3, decoder.embedding.shape[1], dtype=decoder.dtype)
    first, second = (decoder.new_cache(10, memory) for _ in range(2))
    assert first.room is not second.room
    room = first.room
    del first
    gc.collect()
    assert decoder.new_cache(ROUNDED - 1, memory).room is room
    assert second.room is not room


def test_a_copy_keeps_the_room_of_what_it_copies(pair):
    decoder = with_rooms(pair[1]).decoder
    memory = torch.zeros(3, decoder.embedding.shape[1], dtype=decoder.dtype)
    copied = decoder.new_cache(10, memory).copy(20)
    gc.collect()
    assert decoder.new_cache(10, memory).room is not copied.source.room


def test_a_text_in_a_used_room_knows_nothing_of_the_one_before(pair):
    """Shorter after longer: what lies behind is the other's."""
    fixed = with_rooms(pair[1])
    long, short = sorted(EXAMPLES, key=lambda example: -len(fixed.prepare(example)["input_ids"][0]))[:: len(EXAMPLES) - 1]
    ends = {"limit": 30, "end_tokens": NOTHING_ENDS}
    autoregressive.decode(fixed.decoder, prefill(fixed, long, 60, 1), limit=60, end_tokens=NOTHING_ENDS)
    texts = [autoregressive.decode(target.decoder, prefill(target, short, 30, 1), **ends).tokens for target in pair]
    assert texts[0] == texts[1]
    assert sum(map(len, fixed.decoder.rooms._free.values())) <= 2  # the second text was in the first's room, or in one of another size


def test_a_room_is_no_larger_than_the_model_can_place(pair, monkeypatch):
    decoder = with_rooms(pair[1]).decoder
    monkeypatch.setattr(recorded, "ROUNDED", 10**6)
    if decoder.places.most:
        assert decoder.new_cache(10).capacity == decoder.places.most
