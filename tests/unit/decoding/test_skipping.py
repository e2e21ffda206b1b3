"""The model without some of its sublayers: what it drafts, what verification makes of the shared cache, what is refused."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data.example import write_manifest
from fastvlm.decoding import autoregressive, speculative
from fastvlm.decoding.drafters import Bounds
from fastvlm.decoding.fit import fit
from fastvlm.decoding.observe import observe
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.run import decode
from fastvlm.decoding.skipping import SkipDrafter, load_skips
from fastvlm.errors import UserError
from fastvlm.imitation.store import fingerprint
from fastvlm.metrics.cost_model import measure
from fastvlm.rows import read_rows
from tests import tiny

LAYERS = st.sets(st.integers(0, tiny.LAYERS - 1))
EXAMPLE = tiny.examples(1)[0]


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def family_target(request, tmp_path_factory):
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param, seed=3))


def test_without_nothing_is_the_decoder_itself(family_target):
    target = family_target
    prefix = target.prefill(target.prepare(EXAMPLE), 20)
    expected = autoregressive.decode(target.decoder, prefix, limit=20, end_tokens=frozenset()).tokens
    drafter = SkipDrafter(target.decoder.without((), ()))
    found = speculative.decode(target.decoder, drafter, prefix, policy=Fixed(5), limit=20, end_tokens=frozenset())
    assert found.tokens == expected
    assert all(drafted == accepted for _, drafted, accepted in found.passes)


@settings(max_examples=20)
@given(attention=LAYERS, feed_forward=LAYERS)
def test_a_sublayer_is_skipped_where_its_projection_is_silenced(family_target, attention, feed_forward):
    """Skipping is as if what the sublayer adds were nothing; T5's attention is both, to the text and to the encoder's states."""
    target, decoder = family_target, family_target.decoder
    prefix = target.prefill(target.prepare(EXAMPLE), 4)
    embedded = decoder.embed(torch.tensor([5, 6, 7]), prefix.length)
    found = decoder.without(attention, feed_forward).run(embedded, prefix.cache, prefix.length)
    silenced = [decoder.layers[index].attention.out for index in attention]
    silenced += [decoder.layers[index].cross.out for index in attention if decoder.layers[index].cross]
    silenced += [decoder.layers[index].feed_forward.down for index in feed_forward]
    held = [(weight, weight.clone()) for out in silenced for weight in (out.weight, out.bias) if weight is not None]
    for weight, _ in held:
        weight.zero_()
    expected = decoder.run(embedded, prefix.cache, prefix.length)
    for weight, before in held:
        weight.copy_(before)
    torch.testing.assert_close(found, expected)


def test_tensors_are_shared(target):
    thinner = target.decoder.without({1}, {2})
    assert thinner.layers[0].attention is target.decoder.layers[0].attention
    assert thinner.layers[1].attention is None and thinner.layers[2].feed_forward is None
    assert target.decoder.layers[1].attention is not None
    assert thinner.head_weight is target.decoder.head_weight and thinner.places is target.decoder.places


def test_verification_leaves_the_cache_of_plain_decoding(family_target):
    """What skipped layers did not write and the others wrote otherwise, the full pass writes anew."""
    target, ends = family_target, {"limit": 16, "end_tokens": frozenset()}
    plain = target.prefill(target.prepare(EXAMPLE), 16)
    autoregressive.decode(target.decoder, plain, **ends)
    drafted = target.prefill(target.prepare(EXAMPLE), 16)
    speculative.decode(target.decoder, SkipDrafter(target.decoder.without({0, 2}, {1, 3})), drafted, policy=Fixed(4), **ends)
    held = drafted.cache.length
    for ours, theirs in zip(drafted.cache.layers, plain.cache.layers, strict=True):
        torch.testing.assert_close(ours[:, :held], theirs[:, :held])


def test_the_last_draft_is_not_read_by_the_drafter(target):
    """Verification reads it from its embedding: k drafts are k passes of the thinner decoder."""
    thinner, decoder = target.decoder.without({1, 2}, {1, 2}), target.decoder
    drafter = SkipDrafter(thinner)
    passes, run = [], thinner.run
    thinner.run = lambda *arguments: passes.append(1) or run(*arguments)
    prefix = target.prefill(target.prepare(EXAMPLE), 8)
    drafter.start(prefix, 8)
    drafts, states = drafter.draft(decoder, prefix.cache, [], prefix.first, Bounds(3, frozenset(), Fixed(3)))
    assert len(passes) == len(drafts) == 3
    assert torch.equal(states, decoder.embed(torch.cat((prefix.first, drafts)), prefix.length))


def test_what_was_found_for_another_model_is_refused(tmp_path, checkpoint, target):
    path = tmp_path / "skips.json"
    with pytest.raises(UserError, match=r"skips\.json: no such file; expected what the search stage writes"):
        load_skips(path, target, checkpoint)
    card = {"backbone": fingerprint(checkpoint), "dtype": "float64", "attention": [1, 2], "feed_forward": [2]}
    path.write_text(json.dumps(card))
    layers = load_skips(path, target, checkpoint).thinner.layers
    assert [(layer.attention is None, layer.feed_forward is None) for layer in layers[:3]] == [(False, False), (True, False), (True, True)]
    wrong = [({"backbone": "0" * 64}, "backbone 000000000000; expected that of"), ({"dtype": "float16"}, "dtype float16; expected")]
    for other, line in wrong:
        path.write_text(json.dumps(card | other))
        with pytest.raises(UserError, match=f"searched for {line}.*run that stage again"):
            load_skips(path, target, checkpoint)


def test_it_is_watched_fitted_and_decoded_like_the_others_but_has_no_exit_layer(tmp_path, checkpoint):
    manifest, skips, rows, names = (
        tmp_path / "drawn.jsonl",
        tmp_path / "skips.json",
        tmp_path / "rows",
        ["confidence", "context", "goodput"],
    )
    write_manifest(manifest, [*tiny.examples(2, "validation"), *tiny.examples(2)])
    skips.write_text(json.dumps({"backbone": fingerprint(checkpoint), "dtype": "float32", "attention": [1], "feed_forward": [1, 2]}))
    knobs = {"method": "draft-verify", "device": "cpu", "dtype": "float32", "threads": 1, "exit_layers": [], "max_new_tokens": [12]}
    knobs |= {"model": "m", "longest_draft": 3, "datasets": ["drawn"], "sampling": None}
    with pytest.raises(UserError, match="draft-verify: nothing says what it skips; expected --skips with what the search stage wrote"):
        observe(knobs, checkpoint, [manifest], [], tmp_path / "seen.jsonl")
    observe(knobs, checkpoint, [manifest], [], tmp_path / "seen.jsonl", skips=skips)
    measure(
        knobs | {"exit_layers": {"ssd": [], "ssd-joint": [], "layerskip": []}},
        checkpoint,
        [manifest],
        [],
        tmp_path / "cost.jsonl",
        skips=skips,
    )
    drafting, *passes = [row for row in read_rows(tmp_path / "cost.jsonl") if row["method"] == "draft-verify"]
    assert (drafting["exit_layer"], drafting["added_parameters"], drafting["added_bytes"]) == (None, 0, 0)
    assert min(drafting["draft_step_seconds"]) > 0 and [row["tokens_in_pass"] for row in passes] == [1, 2, 3, 4]
    fit(knobs | {"exit_layers": [None]}, tmp_path / "seen.jsonl", tmp_path / "cost.jsonl", tmp_path / "fitted.json")
    decoding = {"experiment": "tiny", "splits": ["test"], "draft_lengths": [1, 3], "policies": names, "warmup": 0}
    decoding |= {"choose_on": None, "repeats": [1], "shard": 0, "shards": [1]}
    with pytest.raises(UserError, match="policy 'confidence' was not fitted for draft-verify on drawn; run the observe, cost and fit"):
        decode(knobs | decoding, checkpoint, [manifest], [], rows, skips=skips)
    decode(knobs | decoding, checkpoint, [manifest], [], rows, policies=tmp_path / "fitted.json", skips=skips)
    found = read_rows(rows / "drawn.jsonl")
    settings = dict.fromkeys((row["policy"], row["exit_layer"], row["draft_length"]) for row in found)
    assert list(settings) == [("fixed", None, 1), ("fixed", None, 3), *((name, None, 3) for name in names)]
    assert all(row["equal_to_baseline"] for row in found)


def test_other_skips_are_decoded_anew(tmp_path, checkpoint):
    manifest, skips = tmp_path / "drawn.jsonl", tmp_path / "skips.json"
    write_manifest(manifest, tiny.examples(1))
    knobs = {"method": "draft-verify", "device": "cpu", "dtype": "float32", "threads": 1, "exit_layers": [], "max_new_tokens": [12]}
    knobs |= {
        "experiment": "tiny",
        "model": "m",
        "splits": ["test"],
        "draft_lengths": [3],
        "policies": [],
        "sampling": None,
        "warmup": 0,
        "choose_on": None,
        "repeats": [1],
        "shard": 0,
        "shards": [1],
    }
    passes = []
    for skipped in ([], [0, 1, 2, 3, 4]):
        card = {"backbone": fingerprint(checkpoint), "dtype": "float32", "attention": skipped, "feed_forward": skipped}
        skips.write_text(json.dumps(card))
        decode(knobs, checkpoint, [manifest], [], tmp_path / "rows", skips=skips)
        passes.append(len(read_rows(tmp_path / "rows" / "drawn.jsonl")[0]["passes"]))
    assert passes[0] < passes[1]
