"""pycocoevalcap run as a program: JSON in on standard input, JSON out on standard output.

A process of its own, because pycocoevalcap starts whichever `java` stands first on PATH, and PATH is not ours to change for the
stage and all that it starts.
"""

from __future__ import annotations

import json
import sys

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

Texts = dict[str, list[str]]


def score_sets(references: list[Texts], sets: list[tuple[int, Texts]]) -> list[dict[str, float]]:
    """The scores of each set; `references` are by collection, a set is the number of its collection and one text an example."""
    collections = tokenize(references)
    hypotheses = tokenize([texts for _, texts in sets])
    meteor = Meteor()
    return [_scores(collections[of], texts, meteor) for (of, _), texts in zip(sets, hypotheses, strict=True)]


def tokenize(collections: list[Texts]) -> list[Texts]:
    """Every text in PTB tokens, lower case and without punctuation, in one start of Java."""
    every = {f"{at}\t{key}": texts for at, part in enumerate(collections) for key, texts in part.items()}
    flat = {key: [{"caption": _one_line(text)} for text in texts] for key, texts in every.items()}
    tokens = PTBTokenizer().tokenize(flat)
    # The tokenizer pairs lines and captions by counting, and would lose some without a word.
    if {key: len(texts) for key, texts in flat.items()} != {key: len(texts) for key, texts in tokens.items()}:
        raise RuntimeError("the PTB tokenizer returned another number of lines than it was given")
    return [{key: tokens[f"{at}\t{key}"] for key in part} for at, part in enumerate(collections)]


def _one_line(text: str) -> str:
    # To Java also U+2028 and its like end a line, and every caption after it would go to the wrong picture; '|||' is METEOR's separator.
    return " ".join(text.splitlines()).replace("|||", " ")


def _scores(references: Texts, texts: Texts, meteor: Meteor) -> dict[str, float]:
    bleu, _ = Bleu(4).compute_score(references, texts, verbose=0)
    scores = {f"bleu_{n}": value for n, value in enumerate(bleu, start=1)}
    scores["meteor"], _ = meteor.compute_score(references, texts)
    scores["rouge_l"], _ = Rouge().compute_score(references, texts)
    scores["cider"], _ = Cider().compute_score(references, texts)
    return {name: float(value) for name, value in scores.items()}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(score_sets(asked["references"], asked["sets"]), sys.stdout)
