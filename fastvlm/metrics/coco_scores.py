"""pycocoevalcap run as a program: JSON in on standard input, JSON out on standard output.

A process of its own, because pycocoevalcap starts whichever `java` stands first on PATH, and PATH is not ours to change for the
stage and all that it starts.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor import meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

Texts = dict[str, list[str]]
Scored = tuple[dict[str, float], dict[str, Any]]


class Meteor(meteor.Meteor):
    """pycocoevalcap's METEOR, which also keeps the statistics of each example that Java told it."""

    def compute_score(self, gts: Texts, res: Texts) -> tuple[float, list[float]]:
        self.statistics: list[list[float]] = []
        return super().compute_score(gts, res)

    def _stat(self, hypothesis_str: str, reference_list: list[str]) -> str:
        line = super()._stat(hypothesis_str, reference_list)
        self.statistics.append([float(number) for number in line.split()])
        return line


def score_sets(references: list[Texts], sets: list[tuple[int, Texts]]) -> list[Scored]:
    """Each set's score; `references` are by collection, a set is the number of its collection and one text an example."""
    collections = tokenize(references)
    hypotheses = tokenize([texts for _, texts in sets])
    java = Meteor()
    return [score({key: collections[of][key] for key in texts}, texts, java) for (of, _), texts in zip(sets, hypotheses, strict=True)]


def score(references: Texts, texts: Texts, java: Meteor) -> Scored:
    """The scores of a set of texts in PTB tokens, and the statistics of its examples that `caption_intervals` draws again, both by metric.

    Statistics, in the order of `texts`: `bleu` [examples, 10], `meteor` [examples, 23], `rouge_l` and `cider` [examples].
    """
    bleus, _ = Bleu(4).compute_score(references, texts, verbose=0)
    meteor_score, _ = java.compute_score(references, texts)
    rouge, rouges = Rouge().compute_score(references, texts)
    cider, ciders = Cider().compute_score(references, texts)
    scores = {f"bleu_{n}": value for n, value in enumerate(bleus, start=1)} | {"meteor": meteor_score, "rouge_l": rouge, "cider": cider}
    counts = [_bleu_counts(text, references[key]) for key, [text] in texts.items()]
    statistics = {"bleu": counts, "meteor": java.statistics, "rouge_l": rouges.tolist(), "cider": ciders.tolist()}
    return {name: float(value) for name, value in scores.items()}, statistics


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


def _bleu_counts(text: str, references: list[str]) -> list[int]:
    counts = cook_test(text, cook_refs(references), "closest")
    return [*counts["correct"], *counts["guess"], counts["testlen"], counts["reflen"]]


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(score_sets(asked["references"], asked["sets"]), sys.stdout)
