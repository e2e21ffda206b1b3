"""Examples of benchmarks whose sizes are published, before anything is read."""

from __future__ import annotations

import pytest

from fastvlm.config import load_config
from fastvlm.planning.examples import count_examples
from tests.unit.planning.experiment import experiment
from tests.workspace import PROJECT

HUB = {"source": "hub", "repositories": [{"id": "owner/name", "revision": None}], "max_new_tokens": 20}
ALL = {"train": None, "validation": None, "test": None}
HELD_OUT = {"train": 4, "validation": 10, "test": None}


@pytest.mark.parametrize(
    ("knobs", "counts"),
    [
        ({"benchmark": "coco", "karpathy": None, **ALL}, {"train": 113287, "validation": 5000, "test": 5000}),
        ({"benchmark": "coco", "karpathy": None, "train": 0, "validation": 9000, "test": 7}, {"train": 0, "validation": 5000, "test": 7}),
        ({"benchmark": "nocaps", "domains": None, **HELD_OUT}, {"train": 4, "validation": 10, "test": 4486}),
        ({"benchmark": "mm-vet", **HELD_OUT | {"test": 500}}, {"train": 4, "validation": 10, "test": 204}),
        (
            {"benchmark": "visdial", "dialogues": None, "relevance": None, **HELD_OUT},
            {"train": 40, "validation": 100, "test": 10 * (2064 - 14)},
        ),
    ],
)
def test_published_sizes_bound_the_limits(knobs, counts):
    assert count_examples(experiment(datasets={"own": HUB | knobs}), "own") == (counts, "")


def test_every_dataset_of_the_paper_is_counted():
    config = load_config(PROJECT / "config/paper.yaml")
    assert set(config.datasets) == {"coco", "nocaps", "visdial", "mm-vet", "llava-wild", "vqav2"}
    for dataset in config.datasets:
        counts, reason = count_examples(config, dataset)
        assert reason == "" and counts["test"] > 0
