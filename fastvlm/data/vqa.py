"""VQAv2, validation split: questions with ten people's answers of a word or two.

Goyal et al., "Making the V in VQA matter" (2017).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastvlm.data.example import Example
from fastvlm.data.layout import Examples, Hub, Layout, one_split
from fastvlm.data.published import Identity, Published, draft, from_files
from fastvlm.data.records import field, find, read_json, text, unique
from fastvlm.data.splits import hold_out
from fastvlm.errors import UserError

ANSWERS = 10
QUESTIONS = 'v2_OpenEnded_mscoco_val2014_questions.json, {"questions": [{"question_id", "image_id", "question"}, ...]}'
ANNOTATIONS = 'v2_mscoco_val2014_annotations.json, {"annotations": [{"question_id", "answer_type", "answers": [{"answer"}, ...]}, ...]}'
LAYOUTS = (
    # lmms-lab-encoder/VQAv2
    Layout(
        {"id": "question_id", "image": "image", "question": "question", "answers": "answers", "answer_type": "answer_type"},
        {"test": "validation"},
    ),
)


def vqa_examples(name: str, identity: Identity, record: dict[str, Any], where: str) -> tuple[Example, ...]:
    """The example of a question; an answer may be empty, as a person's answer, but not all ten."""
    answers = [field(where, answer, "answer", str) for answer in field(where, record, "answers", list)]
    if len(answers) != ANSWERS or not any(answer.strip() for answer in answers):
        found = f"{len(answers)} answers" if len(answers) != ANSWERS else "empty answers only"
        raise UserError(f"{where}: {found}, expected {ANSWERS}")
    return (draft(name, identity, "vqa", text(where, record, "question"), answers, tags=(text(where, record, "answer_type"),)),)


def published(name: str, knobs: dict[str, Any]) -> Published:
    """From the official files, the knobs `questions` and `annotations`, and val2014's folder `images`, all inside `folder`."""
    folder = Path(knobs["folder"])
    paths = [folder / knobs[key] for key in ("questions", "annotations")]
    questions = _by_question(paths[0], QUESTIONS, "questions")
    annotations = _by_question(paths[1], ANNOTATIONS, "annotations")

    def image(identity: Identity) -> Path:
        number = field(f"{paths[0]}: {identity}", questions[identity], "image_id", int)
        return folder / knobs["images"] / f"COCO_val2014_{number:012d}.jpg"

    def examples(identity: Identity) -> tuple[Example, ...]:
        annotation = find(str(paths[1]), annotations, identity, str(paths[0]))
        where = f"{paths[1]}: question_id {identity}"
        record = {"question": text(f"{paths[0]}: {identity}", questions[identity], "question"), **annotation}
        return vqa_examples(name, identity, record, where)

    return from_files(str(paths[0]), hold_out(questions, knobs["validation"], knobs["train"]), image, examples, paths)


def _by_question(path: Path, expected: str, key: str) -> dict[int, dict[str, Any]]:
    records = field(str(path), read_json(path, expected), key, list)
    return unique(
        str(path), ((field(f"{path}: {key}[{number}]", record, "question_id", int), record) for number, record in enumerate(records))
    )


def _hub_examples(_: dict[str, Any]) -> Examples:
    return vqa_examples


HUB = Hub(LAYOUTS, one_split, _hub_examples)
