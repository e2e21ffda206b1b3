"""All scores of sets of texts, with bootstrap intervals over examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastvlm.data.example import Example
from fastvlm.metrics import captions, facts, overlap, vqa
from fastvlm.metrics.bootstrap import mean, ratio, resample
from fastvlm.metrics.caption_intervals import intervals
from fastvlm.metrics.examples import Examples, task_of
from fastvlm.table_file import Record

# The name of a dataset, and (example, text) pairs of all its test examples or of a part of them.
TextSet = tuple[str, captions.Texts]

# `answer_right` is the share of the `answers` examples whose right answer is a known fact.
NAMES = (*captions.METRICS, "token_f1", "vqa_accuracy", "answer_right")
COLUMNS = (*(f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")), "answers")


def score_sets(knobs: Mapping[str, Any], examples: Mapping[str, Examples], sets: Sequence[TextSet]) -> dict[TextSet, Record]:
    """`COLUMNS` of each set, scored once however often it stands in `sets`; an absent column does not apply to its task.

    `examples` are the test examples of each dataset by id, all of one task; knobs: `seed`, `resamples`, `confidence` (0 to 1).
    Words that answer a question for one word are no caption and get no caption metric. Raises `UserError` where Java fails.
    """
    distinct = list(dict.fromkeys(sets))
    captioned = [(name, texts) for name, texts in distinct if task_of(examples[name]) != "vqa"]
    spaced = {name: {key: _spaced(example) for key, example in examples[name].items()} for name, _ in captioned}
    scored = dict(zip(captioned, captions.coco(spaced, captioned) if captioned else (), strict=True))
    return {key: _record(knobs, examples[key[0]], key[1], scored.get(key)) for key in distinct}


def _record(knobs: Mapping[str, Any], examples: Examples, texts: captions.Texts, scored: captions.Scored | None) -> Record:
    # The draws of the other tables, so that all intervals of a model and dataset are of the same examples.
    weights = resample(len(texts), knobs["resamples"], np.random.default_rng(knobs["seed"]))
    found: Record = scored.scores | intervals(scored.statistics, weights, knobs["confidence"]) if scored else {}
    told = [(text, examples[key]) for key, text in texts]
    f1 = np.array([overlap.token_f1(text, example.references) for text, example in told])
    found |= mean(f1, weights, knobs["confidence"]).columns("token_f1")
    if task_of(examples) == "vqa":
        accuracy = np.array([vqa.accuracy(text, example.references) for text, example in told])
        found |= mean(accuracy, weights, knobs["confidence"]).columns("vqa_accuracy")
    known = np.array([float(bool(example.answer)) for _, example in told])
    if known.any():
        right = np.array([float(bool(example.answer) and facts.states(text, example.answer)) for text, example in told])
        found |= ratio(right, known, weights, knobs["confidence"]).columns("answer_right") | {"answers": int(known.sum())}
    return found


def _spaced(example: Example) -> tuple[str, ...]:
    # MM-Vet joins the elements of an answer by a mark that is no word.
    return tuple(reference.replace(overlap.AND, " ") for reference in example.references)
