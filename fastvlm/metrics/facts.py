"""Does a text state the fact that was asked for? Of drawn scenes the right answer is known, and so is every wrong one of its kind."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastvlm.data.scenes import BACKGROUNDS, COLOURS, PLACES, SHAPES, SIGNS
from fastvlm.data.wording import NUMBERS, SIZE_WORDS

# Word as a text may have it -> what it means, kind by kind.
NUMBER_WORDS = {word: number for number, word in enumerate(NUMBERS)} | {str(number): number for number in range(len(NUMBERS))}
KINDS: tuple[Mapping[str, str | int], ...] = (
    {colour: colour for colour in COLOURS},
    {background: background for background in BACKGROUNDS} | {"gray": "grey"},
    {word: size for size, words in SIZE_WORDS.items() for word in words},
    {form: shape for shape in SHAPES for form in (shape, f"{shape}s", f"{shape}es")},
    {place: place for place in PLACES} | {"middle": "centre"},
    NUMBER_WORDS | {"none": 0, "zero": 0},
    {sign: sign for sign in SIGNS if sign not in NUMBER_WORDS},
)
# Longest first, so that 'top left' is not read as 'top'.
PATTERNS = tuple(re.compile(rf"\b({'|'.join(sorted(kind, key=len, reverse=True))})\b") for kind in KINDS)


def states(text: str, answer: str) -> bool:
    """Whether a text says `answer` and nothing else of its kind: one that names two colours has not said which it is.

    'yes' and 'no' must come first. An answer of no known kind must stand in the text as it is, as whole words.
    """
    said, fact = text.lower(), answer.lower().strip()
    if fact in ("yes", "no"):
        first = re.search(r"\w+", said)
        return first is not None and first[0] == fact
    for kind, pattern in zip(KINDS, PATTERNS, strict=True):
        if fact in kind:
            return {kind[word] for word in pattern.findall(said)} == {kind[fact]}
    return re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", said) is not None
