"""On an accelerator a round waits for the device once, to learn what was accepted: seen on the CPU, by the operations that would wait."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fastvlm.decoding import autoregressive, drafters, speculative
from fastvlm.decoding.choice import GREEDY, Sampled
from fastvlm.decoding.drafters import Bounds, EarlyExit
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.sampling import Sampling
from fastvlm.decoding.skipping import SkipDrafter
from fastvlm.models import attention
from fastvlm.models.norm import RmsNorm
from tests import tiny

COPIES_IN = "aten.lift_fresh.default"  # numbers of the host become a tensor
COPIES_OUT = "aten._local_scalar_dense.default"  # an entry of a tensor becomes a number of the host
DEPENDS_ON_VALUES = {COPIES_IN, COPIES_OUT, "aten.nonzero.default", "aten.masked_select.default", "aten._unique2.default"}
NOTHING_ENDS: frozenset[int] = frozenset()
CHOICES = {"greedy": GREEDY, "sampled": Sampled(Sampling(0.7, 50, 0.9), 1, torch.device("cpu"))}


class Waits(TorchDispatchMode):
    """Notes the operations under it for which host and device wait for each other."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if str(func) in DEPENDS_ON_VALUES:
            self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def loaded(request, tmp_path_factory):
    return tiny.load(tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param), torch.float32)


@pytest.fixture
def as_on_an_accelerator(monkeypatch, loaded):
    """The branches that an accelerator takes: the fused kernels, and no look at a draft."""
    monkeypatch.setattr(attention, "_matrix_attention", attention._fused_attention)
    monkeypatch.setattr(drafters, "_is_end", lambda token, ends: False)
    norms = [loaded.decoder.norm, *(part.norm for layer in loaded.decoder.layers for part in (layer.attention, layer.feed_forward))]
    for norm in norms:
        if isinstance(norm, RmsNorm):
            monkeypatch.setattr(norm, "_direct", False)


def drafter_of(target, method):
    if method == "skips":
        return SkipDrafter(target.decoder.without({1, 2}, {2, 3}))
    return EarlyExit(2) if method == "ssd" else tiny.drafter(target, method, 2)


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("method", ["ssd", "mlp", "transformer", "skips"])
def test_drafting_and_the_pass_over_the_drafts_wait_for_nothing(loaded, as_on_an_accelerator, method, choice):
    decoder, drafter = loaded.decoder, drafter_of(loaded, method)
    prefix = loaded.prefill(loaded.prepare(tiny.examples(1)[0]), 12, {2})
    cache, token = prefix.cache, prefix.first
    drafter.start(prefix, 12)
    with Waits() as waits:
        for accepted in (3, 1):  # all drafts stand, then some
            drafts, states = drafter.draft(decoder, cache, [], token, Bounds(3, {1}, Fixed(3), choice))
            choices = choice.verify(drafts, decoder.head(decoder.run(states, cache, cache.length, first=drafter.exit_layer)))
            drafter.keep(states, accepted)
            cache.length += accepted + 1
            token = choices[accepted : accepted + 1]
    assert waits.seen == []


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("method", ["ssd", "transformer", "skips"])
def test_a_text_is_copied_out_by_rounds_only_and_never_in(loaded, as_on_an_accelerator, method, choice):
    """`tolist` of the accept decision shows in no operation; what is left is the first token."""
    prefix = loaded.prefill(loaded.prepare(tiny.examples(1)[0]), 12, {2})
    drafter, settings = drafter_of(loaded, method), {"policy": Fixed(3), "limit": 12, "end_tokens": NOTHING_ENDS}
    with Waits() as waits:
        found = speculative.decode(loaded.decoder, drafter, prefix, choice, **settings)
    assert waits.seen == [COPIES_OUT]
    with Waits() as waits:
        expected = autoregressive.decode(loaded.decoder, prefix, choice, limit=12, end_tokens=NOTHING_ENDS)
    assert waits.seen == [COPIES_OUT] * 12  # each token, to know whether it ends the text
    assert choice is not GREEDY or found.tokens == expected.tokens


def test_the_fused_kernels_compute_the_same(loaded, request):
    inputs = loaded.prepare(tiny.examples(1)[0])
    states = [loaded.prefill(inputs, 1, {tiny.LAYERS}).hidden[tiny.LAYERS]]
    request.getfixturevalue("as_on_an_accelerator")
    states.append(loaded.prefill(inputs, 1, {tiny.LAYERS}).hidden[tiny.LAYERS])
    torch.testing.assert_close(*states, atol=1e-4, rtol=0)
    assert not torch.equal(*states)  # another kernel did run
