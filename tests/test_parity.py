"""Our decoder against transformers: same checkpoint, same logits, same tokens."""

from __future__ import annotations

import pytest
import torch

from fastvlm.decoding import autoregressive
from fastvlm.decoding.reference import generate
from fastvlm.models.backbone import UNLABELLED, Batch
from fastvlm.models.target import Target, language_decoder
from tests import tiny

KINDS = {"llava": ("llava", 4), "llava-grouped": ("llava", 2), "blip2-opt": ("blip2-opt", 4), "blip2-t5": ("blip2-t5", 4)}


@pytest.fixture(scope="module", params=KINDS)
def single(request, tmp_path_factory):
    """float32, as experiments run."""
    family, kv_heads = KINDS[request.param]
    folder = tiny.save_checkpoint(tmp_path_factory.mktemp("single"), family, seed=kv_heads, kv_heads=kv_heads)
    return tiny.load(folder, torch.float32)


def text_of(target, example, length=12):
    """(what transformers' own forward makes of prompt and a text: logits [positions, vocabulary], the text)."""
    inputs = target.prepare(example)
    text = torch.randint(4, 200, (1, length), generator=torch.Generator().manual_seed(length)).to(target.decoder.device)
    model = target.backbone.model
    if target.backbone.encoder is None:
        whole = torch.cat((inputs["input_ids"], text), 1)
        return model(input_ids=whole, pixel_values=inputs["pixel_values"]).logits[0], text[0]
    start = text.new_tensor([[target.backbone.language.config.decoder_start_token_id]])
    return model(**inputs, decoder_input_ids=torch.cat((start, text), 1)).logits[0], text[0]


def read(target, example, text):
    """(what our decoder reads, [positions, hidden], an empty cache for it)."""
    inputs = target.prepare(example)
    embedded, memory = target.backbone.read_prompt(inputs["input_ids"], inputs["pixel_values"])
    decoder = target.decoder
    cache = decoder.new_cache(len(embedded) + len(text), memory)
    return torch.cat((decoder.places.put(embedded, 0), decoder.embed(text, len(embedded)))), cache


def test_prefill_logits_equal_transformers(single):
    for example in tiny.examples(5):
        expected, text = text_of(single, example)
        hidden, cache = read(single, example, text)
        found = single.decoder.head(single.decoder.run(hidden, cache, 0))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("cut", range(1, tiny.LAYERS))
@pytest.mark.parametrize("chunk", [1, 3])
def test_cached_and_cut_logits_equal_uncached(single, cut, chunk):
    """Prompt and text in chunks of tokens: layers below the cut first, those above on what they left."""
    expected, text = text_of(single, tiny.examples(1)[0])
    hidden, cache = read(single, tiny.examples(1)[0], text)
    decoder, found = single.decoder, []
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


def test_states_in_training_are_those_in_decoding(single):
    """Batched, padded, through transformers' layers: the positions called spoken predict what our decoder predicts."""
    examples, backbone, limit = tiny.examples(3), single.backbone, 9
    traces = []
    for example in examples:
        prefix = single.prefill(single.prepare(example), limit)
        traces.append(autoregressive.decode(single.decoder, prefix, limit=limit, end_tokens=frozenset()).tokens)
    answers = [tokens[: length + 3] for length, tokens in enumerate(traces)]
    inputs = [single.prepare(example) for example in examples]
    prompts = [tensors["input_ids"][0].tolist() for tensors in inputs]
    batch = Batch(torch.cat([tensors["pixel_values"] for tensors in inputs]), prompts, answers)
    hidden = backbone.hidden(batch)
    said = backbone.logits(hidden[backbone.labels(batch, hidden.shape[1]) != UNLABELLED]).argmax(-1)
    assert said.tolist() == [token for answer in answers for token in answer]


def test_the_decoder_holds_no_second_copy(single):
    """Every matrix that the decoder computes with lies in the model's own storage, and each storage is a fused matrix."""
    ours = {weight.untyped_storage().data_ptr() for weight in single.backbone.model.parameters()}
    for layer in single.decoder.layers:
        parts = [layer.attention.qkv, layer.attention.out, layer.feed_forward.up, layer.feed_forward.down]
        parts += [layer.cross.query, layer.cross.key_value, layer.cross.out] if layer.cross else []
        for linear in parts:
            assert linear.weight.untyped_storage().data_ptr() in ours
        matrices = {id(linear.weight.untyped_storage()) for linear in parts}
        assert len(matrices) == len(parts)
    assert single.decoder.embedding.data_ptr() == single.backbone.model.get_input_embeddings().weight.data_ptr()
    first = [weight for weight in single.backbone.layers[0].parameters() if weight.dim() == 2 and weight.shape[1] > 4]
    assert len({weight.untyped_storage().data_ptr() for weight in first}) == (7 if single.backbone.encoder else 4)


def test_fusing_twice_is_harmless(single):
    """A second decoder over the same model (a drafter, another method) computes the same."""
    again = Target(single.backbone, language_decoder(single.backbone), single.end_tokens)
    first, second = (target.prefill(target.prepare(tiny.examples(1)[0]), 1, {2}).hidden[2] for target in (single, again))
    assert torch.equal(first, second)
