"""LLaVA-Bench (in the wild): conversation, detail and complex reasoning about diverse pictures, judged against GPT-4's answers.

Liu et al., "Visual instruction tuning" (2023). A judge does not see the picture; it is told the context, a caption that people wrote.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastvlm.data.example import Example
from fastvlm.data.layout import Examples, Hub, Layout, one_split
from fastvlm.data.published import Identity, Published, draft, from_files
from fastvlm.data.records import field, find, read_json_lines, text, unique
from fastvlm.data.splits import hold_out

QUESTIONS = 'questions.jsonl, lines of {"question_id", "image", "text", "category"}'
CONTEXT = 'context.jsonl, lines of {"image", "caption"}'
ANSWERS = 'answers_gpt4.jsonl, lines of {"question_id", "text"}'
LAYOUTS = (
    # lmms-lab-encoder/llava-bench-in-the-wild: its one split is called train
    Layout(
        {
            "id": "question_id",
            "image": "image",
            "question": "question",
            "category": "category",
            "answer": "gpt_answer",
            "context": "caption",
        },
        {"test": "train"},
    ),
)


def description_examples(name: str, identity: Identity, record: dict[str, Any], where: str) -> tuple[Example, ...]:
    """The example of a question."""
    question, answer = text(where, record, "question"), text(where, record, "answer")
    tags = (text(where, record, "category"),)
    return (draft(name, identity, "description", question, [answer], tags=tags, context=text(where, record, "context")),)


def published(name: str, knobs: dict[str, Any]) -> Published:
    """From the official files, the knobs `questions`, `context` and `answers`, and the folder `images`, all inside `folder`."""
    folder = Path(knobs["folder"])
    paths = [folder / knobs[key] for key in ("questions", "context", "answers")]
    records = _joined(*paths)
    examples = {identity: description_examples(name, identity, record, f"{paths[0]}: {identity}") for identity, record in records.items()}
    splits = hold_out(records, knobs["validation"], knobs["train"])
    return from_files(
        str(paths[0]), splits, lambda identity: folder / knobs["images"] / records[identity]["image"], examples.__getitem__, paths
    )


def _joined(questions: Path, context: Path, answers: Path) -> dict[Identity, dict[str, str]]:
    """Question id -> what the three files say of it, by the names of the hub's columns here."""
    captions = _pairs(context, CONTEXT, "image", "caption")
    replies = _pairs(answers, ANSWERS, "question_id", "text")

    def joined(where: str, record: Any) -> tuple[Identity, dict[str, str]]:
        identity, image = field(where, record, "question_id", int | str), text(where, record, "image")
        asked = {"image": image, "question": text(where, record, "text"), "category": text(where, record, "category")}
        answer, caption = find(str(answers), replies, identity, where), find(str(context), captions, image, where)
        return identity, asked | {"answer": answer, "context": caption}

    return unique(str(questions), (joined(where, record) for where, record in read_json_lines(questions, QUESTIONS)))


def _pairs(path: Path, expected: str, key: str, value: str) -> dict[Identity, str]:
    lines = read_json_lines(path, expected)
    return unique(str(path), ((field(where, record, key, int | str), text(where, record, value)) for where, record in lines))


def _hub_examples(_: dict[str, Any]) -> Examples:
    return description_examples


HUB = Hub(LAYOUTS, one_split, _hub_examples)
