"""VisDial v1.0, validation split: ten questions and answers about each picture, 100 candidate answers each, and what people think of them.

Das et al., "Visual dialog" (2017). Of each dialogue people have judged the candidates of one round: the dense annotations.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastvlm.data.example import Dialogue, Example
from fastvlm.data.layout import Examples, Hub, Layout, number_in_name, one_split
from fastvlm.data.published import Published, draft, from_files
from fastvlm.data.records import field, find, read_json, text, unique
from fastvlm.data.splits import hold_out
from fastvlm.errors import UserError

LOG = logging.getLogger(__name__)
ROUNDS, CANDIDATES = 10, 100
SHAPE = 'visdial_1.0_val.json, {"data": {"questions": [...], "answers": [...], "dialogs": [{"image_id", "caption", "dialog"}, ...]}}'
DENSE = 'visdial_1.0_val_dense_annotations.json, [{"image_id", "round_id", "gt_relevance"}, ...]'
LAYOUTS = (
    # HuggingFaceM4/VisDial: neither candidates nor relevance
    Layout(
        {"id": "image_path", "image": "image", "caption": "caption", "dialog": "dialog"}, {"test": "validation"}, identify=number_in_name
    ),
)
Relevance = dict[tuple[int, int], tuple[float, ...]]  # of image and round, from 1


@dataclass(frozen=True)
class Round:
    """A question with the human answer; candidates are empty where the source has none."""

    question: str
    answer: str
    candidates: tuple[str, ...] = ()
    right: int | None = None


@dataclass(frozen=True)
class Dialog:
    """All rounds about a picture, and its caption."""

    caption: str
    rounds: tuple[Round, ...]


def read_dialogues(path: Path) -> dict[int, Dialog]:
    """Image id -> dialogue; raises `UserError` for a record that is not as expected, with fewer rounds or candidates."""
    data = field(str(path), read_json(path, SHAPE), "data", dict)
    questions, answers, dialogues = (field(f"{path}: data", data, key, list) for key in ("questions", "answers", "dialogs"))
    return unique(
        f"{path}: dialogs",
        (_dialogue(f"{path}: dialogs[{number}]", record, questions, answers) for number, record in enumerate(dialogues)),
    )


def _dialogue(where: str, record: Any, questions: list[str], answers: list[str]) -> tuple[int, Dialog]:
    identity, rounds = field(where, record, "image_id", int), field(where, record, "dialog", list)
    _check_rounds(where, rounds)
    read = tuple(_round(f"{where}.dialog[{number}]", round_, questions, answers) for number, round_ in enumerate(rounds))
    return identity, Dialog(text(where, record, "caption"), read)


def _check_rounds(where: str, rounds: list[Any]) -> None:
    if len(rounds) != ROUNDS:
        raise UserError(f"{where}: {len(rounds)} rounds, expected {ROUNDS}")


def _round(where: str, record: Any, questions: list[str], answers: list[str]) -> Round:
    options = [_entry(where, answers, option, "answers") for option in field(where, record, "answer_options", list)]
    if len(options) != CANDIDATES:
        raise UserError(f"{where}.answer_options: {len(options)} candidates, expected {CANDIDATES}")
    answer = _entry(where, answers, field(where, record, "answer", int), "answers")
    right = field(where, record, "gt_index", int)
    if _entry(where, options, right, "answer_options") != answer:
        raise UserError(f"{where}.gt_index: candidate {right} is {options[right]!r}, expected the human answer, {answer!r}")
    return Round(_entry(where, questions, field(where, record, "question", int), "questions"), answer, tuple(options), right)


def _entry(where: str, values: list[str], index: Any, name: str) -> str:
    if not isinstance(index, int) or not 0 <= index < len(values):
        raise UserError(f"{where}: found {index!r} as a place in '{name}', expected 0 to {len(values) - 1}")
    return values[index]


def read_relevance(path: Path) -> Relevance:
    """(image id, round from 1) -> the share of people who found each candidate right; raises `UserError` for what is not as expected."""
    content = read_json(path, DENSE)
    if not isinstance(content, list):
        raise UserError(f"{path}: found {type(content).__name__}, expected {DENSE}")
    return unique(str(path), (_judged(f"{path}: [{number}]", record) for number, record in enumerate(content)))


def _judged(where: str, record: Any) -> tuple[tuple[int, int], tuple[float, ...]]:
    image, round_ = field(where, record, "image_id", int), field(where, record, "round_id", int)
    if not 1 <= round_ <= ROUNDS:
        raise UserError(f"{where}.round_id: found {round_}, expected 1 to {ROUNDS}")
    values = field(where, record, "relevance" if "relevance" in record else "gt_relevance", list)
    if len(values) != CANDIDATES:
        raise UserError(f"{where}: relevance of {len(values)} candidates, expected {CANDIDATES}")
    return (image, round_), tuple(float(value) for value in values)


def dialogue_examples(name: str, identity: int, dialogue: Dialog, relevance: Relevance) -> tuple[Example, ...]:
    """One example a round; before it stands what people said in the rounds before."""
    said = tuple((round_.question, round_.answer) for round_ in dialogue.rounds)

    def example(number: int, round_: Round) -> Example:
        judged = relevance.get((identity, number), ())
        asked = Dialogue(dialogue.caption, said[: number - 1], round_.candidates, round_.right, judged)
        return draft(name, f"{identity}-{number:02d}", "dialogue", round_.question, [round_.answer], dialogue=asked)

    return tuple(example(number, round_) for number, round_ in enumerate(dialogue.rounds, 1))


def published(name: str, knobs: dict[str, Any]) -> Published:
    """From the official files, the knobs `dialogues` and `relevance` (or None), and the folder `images`, all inside `folder`."""
    folder = Path(knobs["folder"])
    paths = [folder / knobs[key] for key in ("dialogues", "relevance") if knobs[key]]
    dialogues = read_dialogues(paths[0])
    relevance = read_relevance(paths[1]) if knobs["relevance"] else {}
    return from_files(
        str(paths[0]),
        hold_out(dialogues, knobs["validation"], knobs["train"]),
        lambda identity: folder / knobs["images"] / f"VisualDialog_val2018_{identity:012d}.jpg",
        lambda identity: dialogue_examples(name, identity, dialogues[identity], relevance),
        paths,
    )


def _hub_examples(knobs: dict[str, Any]) -> Examples:
    """Candidates and relevance are joined by image id from the official files, the knobs `dialogues` and `relevance`."""
    path = Path(knobs["dialogues"]) if knobs["dialogues"] else None
    if path is None:
        LOG.warning("visdial: the hub publishes no candidates; ranks need the official file in the key 'dialogues'")
    official = read_dialogues(path) if path else {}
    relevance = read_relevance(Path(knobs["relevance"])) if knobs["relevance"] else {}

    def examples(name: str, identity: int, row: dict[str, Any], where: str) -> tuple[Example, ...]:
        dialogue = _of_pairs(where, row)
        if path:
            dialogue = _agreed(where, dialogue, find(str(path), official, identity, where), path)
        return dialogue_examples(name, identity, dialogue, relevance)

    return examples


def _of_pairs(where: str, row: dict[str, Any]) -> Dialog:
    """The dialogue of a row whose `dialog` is a list of [question, answer]."""
    pairs = field(where, row, "dialog", list)
    _check_rounds(where, pairs)
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(words, str) for words in pair):
            raise UserError(f"{where}: found {str(pair)[:60]} in 'dialog', expected [question, answer]")
    return Dialog(text(where, row, "caption"), tuple(Round(question, answer) for question, answer in pairs))


def _agreed(where: str, row: Dialog, official: Dialog, path: Path) -> Dialog:
    """The official dialogue, which must be the row's."""
    for number, (ours, theirs) in enumerate(zip(row.rounds, official.rounds, strict=True), 1):
        if ours.answer != theirs.answer:
            raise UserError(
                f"{where}: round {number} is answered {ours.answer!r}, but in {path} {theirs.answer!r}; expected the same dialogue"
            )
    return official


HUB = Hub(LAYOUTS, one_split, _hub_examples)
