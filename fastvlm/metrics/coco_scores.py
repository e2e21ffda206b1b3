"""pycocoevalcap run as a program: JSON in on standard input, JSON out on standard output.

A process of its own, because pycocoevalcap starts whichever `java` stands first on PATH, and PATH is not ours to change for the
stage and all that it starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor import meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.spice import get_stanford_models, spice
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

Texts = dict[str, list[str]]
Scored = tuple[dict[str, float], dict[str, Any]]

STANFORD = Path(get_stanford_models.SPICEDIR, get_stanford_models.SPICELIB, f"{get_stanford_models.JAR}.jar")
HOW = "`python -m pycocoevalcap.spice.get_stanford_models` downloads it"
# SPICE is of Java 8. Source of the list: the README of fast-serialization, by which SPICE keeps its parses, on Java 17.
OPENED = [f"java.base/java.{name}" for name in ("lang", "math", "util", "util.concurrent", "net", "text")] + ["java.sql/java.sql"]


class Meteor(meteor.Meteor):
    """pycocoevalcap's METEOR, which also keeps the statistics of each example that Java told it, and asks for none twice."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, ...], str] = {}
        super().__init__()
        # It takes its lock to clean up too, which would wait for ever after an error while it is held.
        self.lock = threading.RLock()

    def compute_score(self, gts: Texts, res: Texts) -> tuple[float, list[float]]:
        self.statistics: list[list[float]] = []
        return super().compute_score(gts, res)

    def _stat(self, hypothesis_str: str, reference_list: list[str]) -> str:
        pair = (hypothesis_str, *reference_list)
        if pair not in self._told:
            self._told[pair] = super()._stat(hypothesis_str, reference_list)
        self.statistics.append([float(number) for number in self._told[pair].split()])
        return self._told[pair]


def score_sets(references: list[Texts], sets: list[tuple[int, Texts]]) -> tuple[list[Scored], str]:
    """Each set's score, and a line that says why SPICE is not among them, or "".

    `references` are by collection, a set is the number of its collection and one text an example.
    """
    collections = tokenize(references)
    hypotheses = tokenize([texts for _, texts in sets])
    pairs = [({key: collections[of][key] for key in texts}, texts) for (of, _), texts in zip(sets, hypotheses, strict=True)]
    java = Meteor()
    scored = [score(*pair, java) for pair in pairs]
    missing = add_spice(scored, pairs)
    return scored, missing


def add_spice(scored: Sequence[Scored], pairs: Sequence[tuple[Texts, Texts]]) -> str:
    """Put SPICE into the scores, from one start of Java; where it cannot be had, change nothing and say why in one line.

    Its score is a mean over examples, of which each is parsed once, in however many sets it stands.
    """
    if not STANFORD.is_file():
        return f"SPICE: Stanford CoreNLP is not there, so its cells are empty ({HOW})"
    asked = [[(texts[key][0], *references[key]) for key in texts] for references, texts in pairs]
    number = {pair: at for at, pair in enumerate(dict.fromkeys(pair for some in asked for pair in some))}
    os.environ["JAVA_TOOL_OPTIONS"] = " ".join(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED)
    try:
        gold, found = ({at: list(pair[part]) for pair, at in number.items()} for part in (slice(1, None), slice(1)))
        _, told = spice.Spice().compute_score(gold, found)
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        return f"SPICE: Java failed, so its cells are empty ({' '.join(str(error).split())})"
    values = [float(one["All"]["f"]) for one in told]
    for (scores, statistics), some in zip(scored, asked, strict=True):
        statistics["spice"] = [values[number[pair]] for pair in some]
        scores["spice"] = sum(statistics["spice"]) / len(some)
    return ""


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


def main() -> None:
    # SPICE talks on standard output, which is kept for what is asked.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        asked = json.load(sys.stdin)
        json.dump(score_sets(asked["references"], asked["sets"]), answer)


if __name__ == "__main__":
    main()
