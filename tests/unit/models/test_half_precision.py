"""float16 and bfloat16: what is loaded runs in them throughout, as exactly as transformers does, and drafts as in float32."""

from __future__ import annotations

import pytest
import torch

from fastvlm.decoding import autoregressive, speculative
from fastvlm.decoding.compare import outcome
from fastvlm.decoding.drafters import EarlyExit
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.replay import Replay
from fastvlm.errors import UserError
from tests import tiny
from tests.test_parity import read, text_of

NOTHING_ENDS: frozenset[int] = frozenset()
RUNS = [(family, dtype) for family in tiny.FAMILIES for dtype in ("bfloat16", "float16") if (family, dtype) != ("blip2-t5", "float16")]
# Of logits that spread by 0.3; one unit in the last place of the largest is 0.008 in bfloat16 and 0.001 in float16.
TOLERANCE = {torch.bfloat16: 0.1, torch.float16: 0.0125}


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def pair(request, tmp_path_factory):
    """(the target in half precision, the same checkpoint in float64)."""
    family, dtype = request.param
    folder = tiny.save_checkpoint(tmp_path_factory.mktemp(family), family)
    return tiny.load(folder, getattr(torch, dtype)), tiny.load(folder)


@pytest.fixture
def half(pair):
    return pair[0]


def error(logits, exact):
    return float((logits.double() - exact).square().mean().sqrt())


def test_as_close_to_the_exact_logits_as_transformers(pair):
    half, double = pair
    for example in tiny.examples(3):
        exact, _ = text_of(double, example)
        theirs, text = text_of(half, example)
        hidden, cache = read(half, example, text)
        ours = half.decoder.head(half.decoder.run(hidden, cache, 0))
        assert ours.dtype == hidden.dtype == cache.layers[0].dtype == half.decoder.dtype
        # Half the tolerance, as root mean square over a token's logits: the largest of 20,000 differences is the tail of the rounding.
        assert (ours - theirs).double().square().mean(-1).sqrt().max() <= TOLERANCE[ours.dtype] / 2
        assert error(ours, exact) <= 1.05 * error(theirs, exact)


def test_token_by_token_and_cut_it_stays_as_close(half):
    expected, text = text_of(half, tiny.examples(1)[0])
    hidden, cache = read(half, tiny.examples(1)[0], text)
    decoder, found = half.decoder, []
    for start in range(len(hidden)):
        state = decoder.run(hidden[start : start + 1], cache, start, last=2)
        found.append(decoder.head(decoder.run(state, cache, start, first=2)))
    torch.testing.assert_close(torch.cat(found), expected, atol=TOLERANCE[decoder.dtype], rtol=0)


@pytest.mark.parametrize("method", ["ssd", "mlp", "transformer"])
def test_what_differs_differs_at_close_logits_only(half, method):
    drafter = EarlyExit(2) if method == "ssd" else tiny.drafter(half, method, 2)
    for example in tiny.examples(3):
        inputs = half.prepare(example)
        prefix = half.prefill(inputs, 20, {2})
        plain = Replay(half, inputs, autoregressive.decode(half.decoder, prefix, limit=20, end_tokens=NOTHING_ENDS).tokens)
        settings = {"policy": Fixed(3), "limit": 20, "end_tokens": NOTHING_ENDS}
        row = outcome(half, speculative.decode(half.decoder, drafter, prefix, **settings), plain)
        assert row["output_tokens"] == 20
        assert plain.logits.argmax(-1).tolist() == plain.tokens
        assert row["equal_to_baseline"] or 0 <= row["logit_gap"] <= TOLERANCE[half.decoder.dtype]


def test_t5_in_float16_is_refused(tmp_path):
    folder = tiny.save_checkpoint(tmp_path / "t5", "blip2-t5")
    with pytest.raises(UserError, match=r"^dtype: float16 .*; expected bfloat16 or float32"):
        tiny.load(folder, torch.float16)
