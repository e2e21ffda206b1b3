"""What a decoding loop did: the tokens, and one line a pass of the full model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field


@dataclass
class Trace:
    """`tokens` counts the end token where one was produced; `passes` holds (context, drafted, accepted) for each pass
    of the full model after prefill, where context is the number of tokens in the cache when drafting began."""

    tokens: list[int]
    passes: list[tuple[int, int, int]] = field(default_factory=list)

    def ended(self, limit: int, end_tokens: Collection[int]) -> bool:
        return len(self.tokens) >= limit or self.tokens[-1] in end_tokens


def up_to_end(tokens: list[int], end_tokens: Collection[int]) -> list[int]:
    """The tokens up to the first end token, inclusive."""
    for index, token in enumerate(tokens):
        if token in end_tokens:
            return tokens[: index + 1]
    return tokens
