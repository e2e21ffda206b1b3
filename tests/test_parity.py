"""Our decoder against transformers: same checkpoint, same logits, same tokens."""

from __future__ import annotations

import pytest
import torch

from fastvlm.decoding import autoregressive
from fastvlm.decoding.reference import generate
from fastvlm.models.llava import language_decoder
from tests import tiny


@pytest.fixture(scope="module", params=[4, 2], ids=["multi-head", "grouped"])
def single(request, tmp_path_factory):
    """float32, as experiments run."""
    folder = tiny.save_checkpoint(tmp_path_factory.mktemp("single"), seed=request.param, kv_heads=request.param)
    return tiny.load(folder, torch.float32)


def test_prefill_logits_equal_transformers(single):
    for example in tiny.examples(5):
        inputs = single.prepare(example)
        expected = single.model(**inputs).logits[0]
        hidden = single.embed_prompt(inputs)
        cache = single.decoder.new_cache(len(hidden))
        found = single.decoder.head(single.decoder.run(hidden, cache, 0))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("cut", range(1, tiny.LAYERS))
@pytest.mark.parametrize("chunk", [1, 3])
def test_cached_and_cut_logits_equal_uncached(single, cut, chunk):
    """The prompt, then chunks of tokens: layers below the cut first, those above on what they left."""
    inputs = single.prepare(tiny.examples(1)[0])
    expected = single.model(**inputs).logits[0]
    hidden, decoder = single.embed_prompt(inputs), single.decoder
    cache, found = decoder.new_cache(len(hidden)), []
    for start in range(0, len(hidden), chunk):
        state = decoder.run(hidden[start : start + chunk], cache, start, last=cut)
        found.append(decoder.head(decoder.run(state, cache, start, first=cut)))
    torch.testing.assert_close(torch.cat(found), expected, atol=1e-4, rtol=0)


def test_greedy_tokens_equal_generate(single):
    for example in tiny.examples(20):
        inputs = single.prepare(example)
        prefix = single.prefill(inputs, 30)
        ours = autoregressive.decode(single.decoder, prefix, limit=30, end_tokens=single.end_tokens)
        assert ours.tokens == generate(single, inputs, 30).tokens


def test_the_decoder_holds_no_second_copy(single):
    """Every tensor that the decoder computes with lies in the model's own storage, and fusing keeps the model's output."""
    language = single.model.model.language_model
    ours = {weight.untyped_storage().data_ptr() for weight in single.model.parameters()}
    for layer in single.decoder.layers:
        for tensor in (layer.qkv, layer.out, layer.gate_up, layer.down, layer.attention_norm.weight, layer.mlp_norm.weight):
            assert tensor.untyped_storage().data_ptr() in ours
    assert single.decoder.embedding.data_ptr() == language.embed_tokens.weight.data_ptr()
    assert len({p.untyped_storage().data_ptr() for p in language.layers[0].parameters()}) == 6  # qkv, o, gate_up, down, two norms


def test_fusing_twice_is_harmless(single):
    """A second decoder over the same model (a drafter, another method) computes the same."""
    inputs = single.prepare(tiny.examples(1)[0])
    hidden = single.embed_prompt(inputs)
    again = language_decoder(single.model)
    first, second = (decoder.run(hidden, decoder.new_cache(len(hidden)), 0) for decoder in (single.decoder, again))
    assert torch.equal(first, second)
