"""A configuration to plan: two hub models and one that is trained, drawn scenes and files that are not there."""

from __future__ import annotations

from typing import Any

import yaml

from fastvlm.config import Config, load_config
from tests.workspace import PROJECT

SMOKE = yaml.safe_load((PROJECT / "config/smoke.yaml").read_text()) | {"ablations": None}
FILES = {
    "source": "files", "benchmark": "captions", "task": "caption", "folder": "absent", "captions": "c.json", "images": "images",
    "max_new_tokens": 20,
}  # fmt: skip
LLAVA = {"source": "hub", "id": "llava-hf/llava-1.5-7b-hf", "revision": None}


def experiment(**changes: Any) -> Config:
    """The smoke experiment with two of the paper's kind; `changes` are its top-level keys."""
    models = {"known": LLAVA, "strange": LLAVA | {"id": "someone/else"}}
    datasets = {
        "drawn": {"source": "scenes", "task": "caption", "train": 200, "validation": 4, "test": 6, "max_new_tokens": 16},
        "own": FILES | {"train": None, "validation": 10, "test": 50},
    }
    return load_config(SMOKE | {"models": models, "datasets": datasets} | changes)
