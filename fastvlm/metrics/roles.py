"""Where each token of a drafted text came from."""

from __future__ import annotations

from collections.abc import Sequence

FIRST, ACCEPTED, CORRECTED, BONUS, UNDRAFTED = "first", "accepted", "corrected", "bonus", "undrafted"


def roles(passes: Sequence[Sequence[int]], tokens: int) -> list[str]:
    """One of the five for each of `tokens` tokens; `passes` holds (context, drafted, accepted) of each pass after prefill.

    `first` is prefill's. A pass gives its accepted drafts and then the full model's own token: `corrected` in place of the draft that was
    wrong, `bonus` where all stood, `undrafted` where there were none. A text that ends in a draft has no such token behind it.
    """
    found = [FIRST]
    for _, drafted, accepted in passes:
        own = UNDRAFTED if not drafted else BONUS if accepted == drafted else CORRECTED
        found += [*[ACCEPTED] * accepted, own]
    return found[:tokens]
