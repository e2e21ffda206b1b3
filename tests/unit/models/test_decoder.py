"""Parts of the decoder that parity alone would not name."""

from __future__ import annotations

import torch

from fastvlm.models.attention import attention


def test_rolling_back_is_setting_a_length(target):
    """What was written behind the length changes nothing."""
    decoder = target.decoder
    tokens = torch.tensor([5, 9, 7, 3, 11])
    clean, dirty = decoder.new_cache(8), decoder.new_cache(8)
    expected = decoder.run(decoder.embed(tokens, 0), clean, 0)
    decoder.run(decoder.embed(tokens[:3], 0), dirty, 0)
    decoder.run(decoder.embed(torch.tensor([30, 31, 32, 33]), 3), dirty, 3)  # drafts that did not stand
    found = decoder.run(decoder.embed(tokens[3:], 3), dirty, 3)
    torch.testing.assert_close(found, expected[3:])


def test_a_longer_cache_later_gets_the_angles_it_needs(target):
    places = target.decoder.with_layers([]).places
    places.reach(4)
    short = places.at(0, 4)
    places.reach(64)
    long = places.at(0, 64)
    assert len(long.cos) == 64
    torch.testing.assert_close(long.cos[:4], short.cos)


def test_attention_against_the_formula():
    """Grouped heads and a causal mask with history, written out."""
    heads, kv_heads, tokens, context, width = 4, 2, 3, 7, 8
    queries, keys, values = torch.randn(heads, tokens, width), torch.randn(kv_heads, context, width), torch.randn(kv_heads, context, width)
    mask = torch.full((tokens, context), float("-inf")).triu(context - tokens + 1)
    found = attention(queries, keys, values, mask, width**-0.5)
    for head in range(heads):
        group = head // (heads // kv_heads)
        weights = torch.softmax(queries[head] @ keys[group].t() / width**0.5 + mask, -1)
        torch.testing.assert_close(found.view(tokens, heads, width)[:, head], weights @ values[group])
