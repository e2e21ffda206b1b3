"""The law: greedy speculative decoding says what plain decoding says, all of it, whoever drafts and however much."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.decoding import autoregressive, contenders, drafters, speculative
from fastvlm.decoding.choice import GREEDY
from fastvlm.decoding.drafters import EarlyExit, PromptLookup
from fastvlm.decoding.policies import Confidence, Context, Fixed
from fastvlm.decoding.race import compete
from fastvlm.decoding.rounds import finish
from fastvlm.decoding.skipping import SkipDrafter
from fastvlm.models.target import Prefix
from tests import tiny

EXAMPLES = tiny.examples(4)
NOTHING_ENDS: frozenset[int] = frozenset()
LENGTHS = st.integers(0, 8)
LAYERS = st.sets(st.integers(0, tiny.LAYERS - 1))
POLICIES = st.one_of(
    st.builds(Fixed, st.integers(1, 8)),
    st.builds(Confidence, LENGTHS, st.floats(0, 1)),
    st.builds(lambda begins, lengths: Context(sorted(begins), lengths), *[st.lists(st.integers(0, 60), min_size=3, max_size=3)] * 2),
)


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def cut_target(request, tmp_path_factory):
    """float64, so that only a wrong algorithm can differ; LLaVA with grouped key/value heads."""
    family = request.param
    kv_heads = 2 if family == "llava" else 4
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(family), family, seed=3, kv_heads=kv_heads))


def drafter_of(target, method, exit_layer, skipped=((), ())):
    if method == "lookup":
        return PromptLookup()
    if method == "skips":
        return SkipDrafter(target.decoder.without(*skipped))
    return EarlyExit(exit_layer) if method == "ssd" else tiny.drafter(target, method, exit_layer)


def plain(target, prefix, limit, ends):
    return autoregressive.decode(target.decoder, prefix, limit=limit, end_tokens=ends)


@settings(max_examples=60)
@given(
    example=st.sampled_from(EXAMPLES),
    method=st.sampled_from(("ssd", "mlp", "transformer", "lookup", "skips")),
    exit_layer=st.integers(1, tiny.LAYERS - 1),
    policy=POLICIES,
    limit=st.integers(1, 40),
    end_at=st.integers(0, 40),
    skipped=st.tuples(LAYERS, LAYERS),
)
def test_text_is_that_of_plain_decoding(cut_target, example, method, exit_layer, policy, limit, end_at, skipped):
    """Random weights, every method, exit layer, set of skipped sublayers and policy, any limit, the end of text at any place."""
    target = cut_target
    prefix = target.prefill(target.prepare(example), limit, {exit_layer})
    free = plain(target, prefix, limit, NOTHING_ENDS).tokens
    ends = frozenset(free[end_at : end_at + 1])
    expected = plain(target, prefix, limit, ends)
    drafter = drafter_of(target, method, exit_layer, skipped)
    settings_ = {"policy": policy, "limit": limit, "end_tokens": ends}
    found = speculative.decode(target.decoder, drafter, prefix, **settings_)
    assert found.tokens == expected.tokens
    assert len(found.passes) <= len(expected.passes)
    committed = sum(accepted + 1 for _, _, accepted in found.passes)
    assert 0 <= committed - (len(found.tokens) - 1) <= 1  # at most the token after an accepted end of text is dropped


@settings(max_examples=40)
@given(
    lies=st.sets(st.integers(1, 30)), draft_length=st.integers(1, 8), exit_layer=st.integers(1, tiny.LAYERS - 1), limit=st.integers(2, 31)
)
def test_acceptance_is_exactly_what_the_drafter_earns(cut_target, lies, draft_length, exit_layer, limit):
    """A drafter that lies at known places is believed up to each lie and no further: counted by a slow loop."""
    target = cut_target
    prefix = target.prefill(target.prepare(EXAMPLES[0]), limit, {exit_layer})
    expected = plain(target, prefix, limit, NOTHING_ENDS).tokens
    parrot = tiny.Parrot(exit_layer, target, expected, lies)
    found = speculative.decode(target.decoder, parrot, prefix, policy=Fixed(draft_length), limit=limit, end_tokens=NOTHING_ENDS)
    assert found.tokens == expected
    place, passes = 1, []
    while place < limit:
        drafted = min(draft_length, limit - place - 1)
        accepted = next((step for step in range(drafted) if place + step in lies), drafted)
        passes.append((prefix.length + place - 1, drafted, accepted))
        place += accepted + 1
    assert found.passes == passes


def text_with_a_late_token(target):
    """(prefix, tokens, a token of them that occurs neither first nor second): it can end the text inside a draft."""
    for example in tiny.examples(20):
        prefix = target.prefill(target.prepare(example), 20, {2})
        tokens = plain(target, prefix, 20, NOTHING_ENDS).tokens
        late = [token for token in tokens[2:] if token not in tokens[:2]]
        if late:
            return prefix, tokens, late[0]
    raise AssertionError("every text repeats its first two tokens; expected one that says something else")


def test_end_of_text_inside_a_draft_ends_the_text_there(cut_target):
    target = cut_target
    prefix, free, end = text_with_a_late_token(target)
    ends = frozenset([end])
    parrot = tiny.Parrot(2, target, free, set())
    found = speculative.decode(target.decoder, parrot, prefix, policy=Fixed(8), limit=20, end_tokens=ends)
    assert found.tokens == free[: free.index(end) + 1]
    assert found.passes[-1][1] == found.passes[-1][2] <= free.index(end)  # nothing was drafted past the end


def test_drafts_past_the_end_of_text_never_count(cut_target, monkeypatch):
    """An accelerator does not look at its drafts: what it accepts beyond the end of the text is not acceptance."""
    target = cut_target
    prefix, free, end = text_with_a_late_token(target)
    monkeypatch.setattr(drafters, "_is_end", lambda token, ends: False)
    parrot = tiny.Parrot(2, target, free, set())
    found = speculative.decode(target.decoder, parrot, prefix, policy=Fixed(8), limit=20, end_tokens={end})
    assert found.tokens == free[: free.index(end) + 1]
    assert sum(accepted for _, _, accepted in found.passes) <= len(found.tokens) - 1


def test_a_wrong_verification_would_be_seen(cut_target, monkeypatch):
    """The law can fail: a verifier that believes every draft changes the text."""
    target = cut_target
    prefix = target.prefill(target.prepare(EXAMPLES[2]), 30, {1})

    def gullible(drafts, choices):
        return [*drafts.tolist(), int(choices[-1])], len(drafts)

    monkeypatch.setattr(speculative, "verify_greedy", gullible)
    drafter = EarlyExit(1)
    found = speculative.decode(target.decoder, drafter, prefix, policy=Fixed(4), limit=30, end_tokens=NOTHING_ENDS)
    assert found.tokens != plain(target, prefix, 30, NOTHING_ENDS).tokens


def test_prompt_of_one_token(cut_target):
    """A prompt of a single position, without a picture, decodes alike."""
    target = cut_target
    decoder = target.decoder
    memory = target.prefill(target.prepare(EXAMPLES[0]), 1).memory
    cache = decoder.new_cache(1 + 24, memory)
    state = decoder.run(decoder.embed(torch.tensor([7]), 0), cache, 0, last=2)
    first = decoder.head(decoder.run(state, cache, 0, first=2)).argmax(-1)
    prefix = Prefix(cache, 1, first, {2: state}, memory)
    expected = plain(target, prefix, 24, NOTHING_ENDS).tokens
    drafter = tiny.drafter(target, "transformer", 2)
    found = speculative.decode(decoder, drafter, prefix, policy=Fixed(5), limit=24, end_tokens=NOTHING_ENDS)
    assert found.tokens == expected


@pytest.mark.parametrize("method", ["ssd", "mlp", "transformer", "lookup", "skips"])
def test_settings_that_take_turns_say_and_do_what_each_does_alone(cut_target, method):
    """Round by round, in the middle of each other's texts: none touches another's keys and values, nor what its drafter remembers."""
    target, limit = cut_target, 30
    drafter = drafter_of(target, method, 2, ((0, 2), (1,)))
    prefix = target.prefill(target.prepare(EXAMPLES[1]), limit, [2])
    kept = [layer[:, : prefix.length].clone() for layer in prefix.cache.layers]
    [group] = contenders.groups(target, method, [drafter], [1, 3, 5], [], limit, oracle=method not in ("lookup", "skips"))
    said = plain(target, prefix, limit, target.end_tokens).tokens
    for one in group:
        if one.hear:
            one.hear(said)
    acts = [partial(one.rounds, choice=GREEDY) for one in (contenders.plain(target, limit), *group)]
    alone = [finish(act(prefix)) for act in acts]
    traces, _ = compete(prefix, acts, repeats=2, turn=1, device=target.decoder.device)
    assert traces == alone and all(trace.tokens == said for trace in traces)
    assert all(torch.equal(old, layer[:, : prefix.length]) for old, layer in zip(kept, prefix.cache.layers, strict=True))
