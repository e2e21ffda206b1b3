"""Plain autoregressive decoding: the baseline of every speed-up and the oracle of every lossless method."""

from __future__ import annotations

from collections.abc import Collection

from fastvlm.decoding.trace import Trace
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


def decode(decoder: Decoder, prefix: Prefix, *, limit: int, end_tokens: Collection[int]) -> Trace:
    """Greedy decoding of at most `limit` tokens (at least one), one pass of all layers a token."""
    cache, token = prefix.cache, prefix.first
    cache.length = prefix.length
    trace = Trace([int(token)])
    while not trace.ended(limit, end_tokens):
        hidden = decoder.run(decoder.embed(token, cache.length), cache, cache.length)
        token = decoder.head(hidden).argmax(-1)
        trace.passes.append((cache.length, 0, 0))
        cache.length += 1
        trace.tokens.append(int(token))
    return trace
