"""MM-Vet: questions that need several capabilities at once; an answer may list parts (<AND>) and alternatives (<OR>).

Yu et al., "MM-Vet: evaluating large multimodal models for integrated capabilities" (2023).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastvlm.data.example import Example
from fastvlm.data.layout import Examples, Hub, Layout, one_split
from fastvlm.data.published import Identity, Published, draft, from_files, references
from fastvlm.data.records import field, read_json, text
from fastvlm.data.splits import hold_out
from fastvlm.errors import UserError

SHAPE = 'mm-vet.json, {"v1_0": {"imagename", "question", "answer", "capability": [...]}, ...}'
LAYOUTS = (
    # lmms-lab-encoder/MMVet: capabilities are one text with commas
    Layout(
        {"id": "question_id", "image": "image", "question": "question", "answer": "answer", "capability": "capability"}, {"test": "test"}
    ),
)


def question_examples(name: str, identity: Identity, record: dict[str, Any], where: str) -> tuple[Example, ...]:
    """The example of a question; alternatives are references, exactly as published, so that they can be joined again."""
    capability = field(where, record, "capability", list)
    answers = references(where, text(where, record, "answer").split("<OR>"))
    return (draft(name, identity, "question", text(where, record, "question"), answers, tags=references(where, capability)),)


def published(name: str, knobs: dict[str, Any]) -> Published:
    """From the official file, the knob `questions`, and the folder `images`, both inside `folder`."""
    folder = Path(knobs["folder"])
    path = folder / knobs["questions"]
    records = read_json(path, SHAPE)
    if not isinstance(records, dict):
        raise UserError(f"{path}: found {type(records).__name__}, expected {SHAPE}")
    examples = {identity: question_examples(name, identity, record, f"{path}: {identity}") for identity, record in records.items()}
    images = {identity: folder / knobs["images"] / text(f"{path}: {identity}", record, "imagename") for identity, record in records.items()}
    splits = hold_out(records, knobs["validation"], knobs["train"])
    return from_files(str(path), splits, images.__getitem__, examples.__getitem__, [path])


def _hub_examples(_: dict[str, Any]) -> Examples:
    def examples(name: str, identity: Identity, row: dict[str, Any], where: str) -> tuple[Example, ...]:
        return question_examples(name, identity, row | {"capability": text(where, row, "capability").split(",")}, where)

    return examples


HUB = Hub(LAYOUTS, one_split, _hub_examples)
