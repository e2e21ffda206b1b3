"""Plain autoregressive decoding: the baseline of every speed-up and the oracle of every lossless method."""

from __future__ import annotations

from collections.abc import Collection

from fastvlm.decoding.choice import GREEDY, Choice
from fastvlm.decoding.rounds import Rounds, whole
from fastvlm.decoding.trace import Trace
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


def rounds(decoder: Decoder, prefix: Prefix, choice: Choice = GREEDY, *, limit: int, end_tokens: Collection[int]) -> Rounds:
    """At most `limit` tokens (at least one), each of them `choice`'s, one pass of all layers a token."""
    cache, token = prefix.cache, choice.first(prefix)
    cache.length = prefix.length
    trace = Trace([int(token)])
    while not trace.ended(limit, end_tokens):
        hidden = decoder.run(decoder.embed(token, cache.length), cache, cache.length)
        token = choice.next(decoder.head(hidden))
        trace.passes.append((cache.length, 0, 0))
        cache.length += 1
        trace.tokens.append(int(token))
        yield len(trace.tokens)
    return trace


decode = whole(rounds)
