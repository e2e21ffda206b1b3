"""Self-speculative decoding: draft with the first n layers, verify with the others, keep what stands.

Draft and verification share one cache: drafting leaves the tokens' keys and values below layer n and their states at
layer n, and verification starts from these states, so the layers below n never run twice on a token.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from fastvlm.decoding.drafters import Drafter
from fastvlm.decoding.trace import Trace, up_to_end
from fastvlm.decoding.verify import verify_greedy
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


def decode(decoder: Decoder, drafter: Drafter, prefix: Prefix, *, draft_length: int, limit: int, end_tokens: Collection[int]) -> Trace:
    """Greedy decoding of at most `limit` tokens in rounds of at most `draft_length` drafts and one pass."""
    cache, token = prefix.cache, prefix.first
    cache.length = prefix.length
    drafter.start(prefix, limit)
    trace = Trace([int(token)])
    while not trace.ended(limit, end_tokens):
        # A round gives one token more than it accepts: drafts beyond the limit would be thrown away.
        most = min(draft_length, limit - len(trace.tokens) - 1)
        drafts, states = draft(decoder, drafter, cache, token, most=most, end_tokens=end_tokens)
        choices = decoder.head(decoder.run(states, cache, cache.length, first=drafter.exit_layer)).argmax(-1)
        tokens, accepted = verify_greedy(drafts, choices)
        text = up_to_end(tokens, end_tokens)
        drafter.keep(states, len(drafts), accepted)
        trace.passes.append((cache.length, len(drafts), min(accepted, len(text))))
        cache.length += accepted + 1
        trace.tokens += text
        token = choices[accepted : accepted + 1]
    return trace


def draft(
    decoder: Decoder, drafter: Drafter, cache: KeyValueCache, token: Tensor, *, most: int, end_tokens: Collection[int]
) -> tuple[Tensor, Tensor]:
    """Draft up to `most` tokens after the pending `token` [1] -> (drafts [k], states at layer n [k + 1, hidden]).

    The last draft, too, runs through the first n layers, so that verification can tell what follows it.
    """
    drafts: list[Tensor] = []
    states: list[Tensor] = []
    while True:
        place = cache.length + len(drafts)
        state = decoder.run(decoder.embed(token, place), cache, place, last=drafter.exit_layer)
        states.append(state)
        if len(drafts) == most or (drafts and _is_end(token, end_tokens)):
            break
        token = decoder.head(drafter.guess(state)).argmax(-1)
        drafts.append(token)
    return torch.cat(drafts) if drafts else token[:0], torch.cat(states)


def _is_end(token: Tensor, end_tokens: Collection[int]) -> bool:
    """Stop drafting at the end of the text, where looking at the token is free: on an accelerator it would wait."""
    return token.device.type == "cpu" and int(token) in end_tokens
