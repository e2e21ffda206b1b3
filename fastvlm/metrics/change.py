"""What the methods cost in quality that may say something else than the model's plain decoding: their score less its, paired."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastvlm.methods import CHANGING
from fastvlm.metrics.bootstrap import ratio, resample
from fastvlm.metrics.captions import Scored
from fastvlm.metrics.examples import Examples, task_of
from fastvlm.metrics.runs import Setting
from fastvlm.metrics.scores import MAIN_SCORES, TextSet, by_example
from fastvlm.table_file import KEY_COLUMNS, Record

CHANGE = ("change_metric", "original_score", "quality_change", "quality_change_low", "quality_change_high", "equal_to_original")
COLUMNS = (*KEY_COLUMNS, "claim", "task", *CHANGE)


def tabulate(
    knobs: Mapping[str, Any],
    texts: Mapping[Setting, TextSet],
    examples: Mapping[str, Examples],
    captioned: Mapping[TextSet, Scored],
) -> Iterator[tuple[Setting, Record]]:
    """Of each setting of such a method what `COLUMNS` hold beside its key and claim.

    The main score's change has a bootstrap interval over the examples, of which both texts are; `equal_to_original` is the share of texts
    that are plain decoding's word by word. Knobs: `seed`, `resamples`, `confidence` (0 to 1).
    """
    original = {(setting.model, setting.dataset): of for setting, of in texts.items() if setting.method == "baseline"}
    for setting, own in texts.items():
        plain = original.get((setting.model, setting.dataset))
        if plain and setting.method in CHANGING:
            of = examples[setting.dataset]
            yield setting, {"examples": len(own[1]), "task": task_of(of)} | _change(knobs, of, (own, plain), captioned)


def _change(knobs: Mapping[str, Any], examples: Examples, pair: tuple[TextSet, TextSet], captioned: Mapping[TextSet, Scored]) -> Record:
    own, plain = (_main_score(examples, of, captioned.get(of)) for of in pair)
    same = np.mean([ours == theirs for ours, theirs in zip(pair[0][1], pair[1][1], strict=True)])
    name, values, counted = plain
    weights = resample(len(values), knobs["resamples"], np.random.default_rng(knobs["seed"]))
    change = ratio(own[1] - values, counted, weights, knobs["confidence"]).columns("quality_change")
    return {"change_metric": name, "original_score": float(values.sum() / counted.sum()), "equal_to_original": float(same)} | change


def _main_score(examples: Examples, texts: TextSet, scored: Scored | None) -> tuple[str, np.ndarray, np.ndarray]:
    """Its name, its values and which examples they are counted of, both [examples]."""
    found = by_example(examples, texts[1])
    if scored:
        values = np.array(scored.statistics["cider"])
        found["cider"] = values, np.ones_like(values)
    name = next(name for name in MAIN_SCORES if name in found)
    return name, *found[name]
