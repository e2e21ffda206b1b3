"""Token F1: how many words of a text stand in a reference, and the other way round, for tasks whose real score needs a judge."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from fastvlm.errors import UserError

# MM-Vet joins the elements of an answer by it.
AND = "<AND>"
# Chinese and Japanese are written without spaces: there each character counts as a word, as in MLQA's metric.
CHARACTER = re.compile("([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")


def token_f1(text: str, references: Sequence[str]) -> float:
    """F1 of the words of a text against those of a reference, 0 to 1, the best over the references.

    As SQuAD's F1 (Rajpurkar et al. 2016): bags of words, lower case, without punctuation; articles are kept, as these are no
    short answers. A text without words scores 0, save against a reference without words, which is 1 (SQuAD 2.0). Raises
    `UserError` where there is no reference.
    """
    if not references:
        raise UserError("token F1: found no reference to compare with, expected at least one")
    said = Counter(tokens(text))
    return max(_f1(said, Counter(tokens(reference))) for reference in references)


def tokens(text: str) -> list[str]:
    """Words in lower case, without marks and symbols of any script; `<AND>` is a space."""
    folded = unicodedata.normalize("NFKC", text.replace(AND, " ")).casefold()
    kept = "".join(character for character in folded if unicodedata.category(character)[0] not in "PS")
    return CHARACTER.sub(r" \1 ", kept).split()


def _f1(said: Counter[str], reference: Counter[str]) -> float:
    if not said or not reference:
        return float(said == reference)
    # 2PR / (P + R), without a division by zero where nothing is shared.
    return 2 * (said & reference).total() / (said.total() + reference.total())
