"""Drafts that nobody verifies: as fast as drafting can be, and wrong where the draft is. The price of verification, measured."""

from __future__ import annotations

from collections.abc import Collection

from fastvlm.decoding.choice import GREEDY, Choice
from fastvlm.decoding.drafters import Bounds, Drafter
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.trace import Trace, up_to_end
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


def decode(
    decoder: Decoder, drafter: Drafter, prefix: Prefix, choice: Choice = GREEDY, *, limit: int, end_tokens: Collection[int]
) -> Trace:
    """At most `limit` tokens: the full model's first, from prefill, then what the drafter says. No pass of the full model is run."""
    cache = prefix.cache
    cache.length = prefix.length
    drafter.start(prefix, limit)
    token = choice.first(prefix)
    trace = Trace([int(token)])
    if not trace.ended(limit, end_tokens):
        drafts, _ = drafter.draft(decoder, cache, trace.tokens, token, Bounds(limit - 1, end_tokens, Fixed(limit), choice))
        trace.tokens += up_to_end(drafts.tolist(), end_tokens)
    return trace
