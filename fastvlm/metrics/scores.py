"""All scores of sets of texts, with bootstrap intervals over examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastvlm.data.example import Example
from fastvlm.metrics import captions, facts, overlap, vqa
from fastvlm.metrics.bootstrap import ratio, resample
from fastvlm.metrics.caption_intervals import intervals
from fastvlm.metrics.examples import Examples, task_of
from fastvlm.table_file import Record

# The name of a dataset, and (example, text) pairs of all its test examples or of a part of them.
TextSet = tuple[str, captions.Texts]

# `answer_right` is the share of the `answers` examples whose right answer is a known fact.
NAMES = (*captions.METRICS, "token_f1", "vqa_accuracy", "answer_right")
# What a dataset is judged by: the first of these that its texts have. Each is a mean over examples.
MAIN_SCORES = ("vqa_accuracy", "answer_right", "cider")
COLUMNS = (*(f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")), "answers")


def caption_sets(examples: Mapping[str, Examples], sets: Sequence[TextSet]) -> dict[TextSet, captions.Scored]:
    """The caption metrics of each set, scored once however often it stands in `sets`.

    `examples` are the test examples of each dataset by id, all of one task. Words that answer a question for one word are no caption
    and are not here. Raises `UserError` where Java fails.
    """
    captioned = [(name, texts) for name, texts in dict.fromkeys(sets) if task_of(examples[name]) != "vqa"]
    spaced = {name: {key: _spaced(example) for key, example in examples[name].items()} for name, _ in captioned}
    return dict(zip(captioned, captions.coco(spaced, captioned) if captioned else (), strict=True))


def score_sets(
    knobs: Mapping[str, Any], examples: Mapping[str, Examples], sets: Sequence[TextSet], captioned: Mapping[TextSet, captions.Scored]
) -> dict[TextSet, Record]:
    """`COLUMNS` of each set, of which `captioned` holds the caption metrics; an absent column does not apply to its task.

    Knobs: `seed`, `resamples`, `confidence` (0 to 1).
    """
    return {key: _record(knobs, examples[key[0]], key[1], captioned.get(key)) for key in dict.fromkeys(sets)}


def by_example(examples: Examples, texts: captions.Texts) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each score that is no caption metric: its values, and which examples they are counted of, both [examples]."""
    told = [(text, examples[key]) for key, text in texts]
    every = np.ones(len(told))
    found = {"token_f1": (np.array([overlap.token_f1(text, example.references) for text, example in told]), every)}
    if task_of(examples) == "vqa":
        found["vqa_accuracy"] = np.array([vqa.accuracy(text, example.references) for text, example in told]), every
    known = np.array([float(bool(example.answer)) for _, example in told])
    if known.any():
        right = np.array([float(bool(example.answer) and facts.states(text, example.answer)) for text, example in told])
        found["answer_right"] = right, known
    return found


def _record(knobs: Mapping[str, Any], examples: Examples, texts: captions.Texts, scored: captions.Scored | None) -> Record:
    # The draws of the other tables, so that all intervals of a model and dataset are of the same examples.
    weights = resample(len(texts), knobs["resamples"], np.random.default_rng(knobs["seed"]))
    found: Record = scored.scores | intervals(scored.statistics, weights, knobs["confidence"]) if scored else {}
    means = by_example(examples, texts)
    for name, (values, counted) in means.items():
        found |= ratio(values, counted, weights, knobs["confidence"]).columns(name)
    return found | ({"answers": int(means["answer_right"][1].sum())} if "answer_right" in means else {})


def _spaced(example: Example) -> tuple[str, ...]:
    # MM-Vet joins the elements of an answer by a mark that is no word.
    return tuple(reference.replace(overlap.AND, " ") for reference in example.references)
