"""Self-speculative decoding: draft with the first n layers, verify with the others, keep what stands.

Draft and verification share one cache: drafting leaves the tokens' keys and values below layer n and their states at
layer n, and verification starts from these states, so the layers below n never run twice on a token.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from fastvlm.decoding.choice import GREEDY, Choice
from fastvlm.decoding.drafters import Bounds, Drafter
from fastvlm.decoding.policies import Policy
from fastvlm.decoding.rounds import Rounds, whole
from fastvlm.decoding.trace import Trace, up_to_end
from fastvlm.decoding.verify import verify_greedy
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


def rounds(
    decoder: Decoder, drafter: Drafter, prefix: Prefix, choice: Choice = GREEDY, *, policy: Policy, limit: int, end_tokens: Collection[int]
) -> Rounds:
    """At most `limit` tokens, as `choice` chooses them, in rounds of some drafts, as many as `policy` wants, and one pass."""
    cache, token = prefix.cache, choice.first(prefix)
    cache.length = prefix.length
    drafter.start(prefix, limit)
    policy.start()
    trace = Trace([int(token)])
    while not trace.ended(limit, end_tokens):
        # A round gives one token more than it accepts: drafts beyond the limit would be thrown away.
        most = min(policy.most(cache.length), limit - len(trace.tokens) - 1)
        drafts, states = drafter.draft(decoder, cache, trace.tokens, token, Bounds(most, end_tokens, policy, choice))
        choices, tokens, accepted = verify(decoder, drafter, cache, choice, drafts, states)
        text = up_to_end(tokens, end_tokens)
        drafter.keep(states, accepted)
        policy.learn(len(drafts), accepted)
        trace.passes.append((cache.length, len(drafts), min(accepted, len(text))))
        cache.length += accepted + 1
        trace.tokens += text
        token = choices[accepted : accepted + 1]
        yield len(trace.tokens)
    return trace


decode = whole(rounds)


def verify(
    decoder: Decoder, drafter: Drafter, cache: KeyValueCache, choice: Choice, drafts: Tensor, states: Tensor
) -> tuple[Tensor, list[int], int]:
    """One pass over `drafts` [k] from their and the pending token's `states` at layer n, [k + 1, hidden] -> (the full model's choices
    [k + 1], the accepted drafts and the full model's own token behind them, the number accepted)."""
    choices = choice.verify(drafts, decoder.head(decoder.run(states, cache, cache.length, first=drafter.exit_layer)))
    return choices, *verify_greedy(drafts, choices)
