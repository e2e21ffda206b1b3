"""Datasets that are read: each kind with its keys, and one line for what is not as expected."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fastvlm import knobs
from fastvlm.config import load_config
from fastvlm.errors import UserError
from tests.workspace import PROJECT

SMOKE = yaml.safe_load((PROJECT / "config/smoke.yaml").read_text()) | {"ablations": None}
FILES = {"source": "files", "folder": "a/b", "images": "images", "train": 0, "validation": 0, "test": None, "max_new_tokens": 9}
HUB = {
    "source": "hub",
    "repositories": [{"id": "owner/name", "revision": None}],
    "train": 0,
    "validation": 0,
    "test": 5,
    "max_new_tokens": 9,
}
NOCAPS = HUB | {"benchmark": "nocaps", "domains": None}
VISDIAL = HUB | {"benchmark": "visdial", "dialogues": None, "relevance": None}


def loaded(dataset):
    return load_config(SMOKE | {"datasets": {"own": dataset}})


@pytest.mark.parametrize(
    ("dataset", "inputs"),
    [
        (FILES | {"benchmark": "captions", "task": "caption", "captions": "c.json"}, ["a/b/c.json"]),
        (FILES | {"benchmark": "coco", "karpathy": "k.json", "train": None}, ["a/b/k.json"]),
        (FILES | {"benchmark": "nocaps", "captions": "c.json"}, ["a/b/c.json"]),
        (FILES | {"benchmark": "visdial", "dialogues": "d.json", "relevance": "r.json"}, ["a/b/d.json", "a/b/r.json"]),
        (FILES | {"benchmark": "visdial", "dialogues": "d.json", "relevance": None}, ["a/b/d.json"]),
        (FILES | {"benchmark": "mm-vet", "questions": "q.json"}, ["a/b/q.json"]),
        (
            FILES | {"benchmark": "llava-wild", "questions": "q.jsonl", "context": "c.jsonl", "answers": "a.jsonl"},
            ["a/b/q.jsonl", "a/b/c.jsonl", "a/b/a.jsonl"],
        ),
        (FILES | {"benchmark": "vqav2", "questions": "q.json", "annotations": "a.json"}, ["a/b/q.json", "a/b/a.json"]),
        (HUB | {"benchmark": "coco", "karpathy": "k.json"}, ["k.json"]),
        (NOCAPS | {"domains": "n.json"}, ["n.json"]),
        (NOCAPS, []),
        (VISDIAL | {"dialogues": "d.json", "relevance": "r.json"}, ["d.json", "r.json"]),
        (HUB | {"benchmark": "mm-vet"}, []),
        (HUB | {"benchmark": "llava-wild"}, []),
        (HUB | {"benchmark": "vqav2"}, []),
    ],
)
def test_each_kind_names_its_files_and_reaches_its_stage_as_plain_values(dataset, inputs):
    config = loaded(dataset)
    assert config.datasets["own"].inputs() == [Path(name) for name in inputs]
    assert knobs.data(config, "own") == {key: value for key, value in dataset.items() if key != "max_new_tokens"}


WRONG = [
    (NOCAPS | {"benchmark": "flickr"}, "benchmark: found 'flickr', expected one of 'coco', 'nocaps', 'visdial',"),
    ({key: value for key, value in NOCAPS.items() if key != "domains"}, "domains: missing, expected a value"),
    (NOCAPS | {"domain": None}, "domain: unknown key, did you mean 'domains'?"),
    (NOCAPS | {"validation": None}, "validation: found None, expected a valid integer"),
    (NOCAPS | {"train": -1}, "train: found -1, expected greater than or equal to 0"),
    (NOCAPS | {"test": 0}, "test: found 0, expected greater than or equal to 1"),
    (NOCAPS | {"repositories": []}, "repositories: found [], expected at least one item"),
    (NOCAPS | {"repositories": [{"id": "o/n"}]}, "repositories[0].revision: missing, expected a value"),
    (NOCAPS | {"repositories": [{"id": "owner", "revision": None}]}, "repositories[0].id: found 'owner', expected owner/name"),
    (NOCAPS | {"repositories": [{"id": "o/n", "revision": "main"}]}, "repositories[0].revision: found 'main', expected a commit"),
    (NOCAPS | {"repositories": [{"id": "o/n", "revison": None}]}, "repositories[0].revison: unknown key, did you mean 'revision'?"),
    (VISDIAL | {"relevance": "r.json"}, "relevance: found a path, expected null while dialogues, which holds the candidates, is null"),
    (FILES | {"benchmark": "mm-vet"}, "questions: missing, expected a value"),
    (FILES | {"benchmark": "mm-vet", "questions": ""}, "questions: found '', expected"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "line"), WRONG, ids=[line[:50] for _, line in WRONG])
def test_wrong_keys_are_named(dataset, line):
    with pytest.raises(UserError) as error:
        loaded(dataset)
    assert str(error.value).startswith(f"config: datasets.own.{line}") and "\n" not in str(error.value)
