"""A text in the pieces that its tokens are, for who wants to show which token came from where."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def pieces(to_text: Callable[[list[int]], str], tokens: Sequence[int]) -> list[str]:
    """The part of the text that each token adds; joined, they are the text. Special tokens add nothing, and so does half a character.

    Tokens are decoded with all before them: what a token looks like alone is not what it adds.
    """
    text, places = to_text(list(tokens)), [0]
    for count in range(1, len(tokens)):
        # A character that is not whole yet belongs to the token that completes it.
        so_far = len(to_text(list(tokens[:count])).rstrip("\ufffd"))
        places.append(min(max(so_far, places[-1]), len(text)))
    return [text[begin:end] for begin, end in zip(places, [*places[1:], len(text)], strict=True)]
