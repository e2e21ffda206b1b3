"""Dialogues of ten rounds about a scene, with a hundred answers to rank in each."""

from __future__ import annotations

import random
from collections.abc import Iterator

from fastvlm.data.example import Dialogue
from fastvlm.data.scene_questions import CHAT, Question, ask
from fastvlm.data.scenes import Scene, sample_scenes
from fastvlm.data.wording import NUMBERS

ROUNDS, CANDIDATES = 10, 100
FOLLOW_UPS = {"colour": "What colour is it?", "place": "Where is it?", "size": "Is it large or small?"}
FOLLOWED = 0.5  # how often a round speaks of what the round before was about, where it can
ALIKE = 0.5  # share of the wrong candidates that answer a question of the same kind
SEEN_RIGHT = 0.8  # relevance of a right answer in other words


def converse(scene: Scene, rng: random.Random) -> list[Question]:
    """Ten different questions about one scene."""
    rounds: list[Question] = []
    while len(rounds) < ROUNDS:
        question = _follow_up(rounds[-1], scene, rng) if rounds and rng.random() < FOLLOWED else None
        question = question or ask(scene, CHAT, rng)
        if all(question.text != asked.text or question.where != asked.where for asked in rounds):
            rounds.append(question)
    return rounds


def caption_of(scene: Scene) -> str:
    """What the person who asks is told of the picture."""
    count = len(scene.things)
    return f"A {scene.background} picture with {NUMBERS[count]} shape{'' if count == 1 else 's'}."


def _follow_up(before: Question, scene: Scene, rng: random.Random) -> Question | None:
    """A question about the thing that the last answer named, which calls it 'it'."""
    if before.fact == "no" or before.where not in scene.things:
        return None
    about = [
        question
        for make in CHAT
        for question in make(scene)
        if question.where == before.where and question.kind in FOLLOW_UPS and question.kind != before.kind
    ]
    if not about:
        return None
    chosen = rng.choice(about)
    return Question(FOLLOW_UPS[chosen.kind], chosen.fact, chosen.kind, chosen.tags, chosen.frames, chosen.narrator, chosen.where)


def round_of(caption: str, history: list[tuple[str, str]]) -> Dialogue:
    """What was said before a round of which no candidates are ranked."""
    return Dialogue(caption, tuple(history))


def with_candidates(dialogue: Dialogue, question: Question, answer: str, rng: random.Random, *, dense: bool) -> Dialogue:
    """The dialogue with a hundred different answers: the human one, other wordings of it, and answers to other questions of other scenes.

    `dense`: says of each how many people would find it right, 0..1.
    """
    same = dict.fromkeys(question.answer(rng) for _ in range(8))
    others = dict.fromkeys(text for text in _wrong(question, rng) if text not in same)
    alternatives = [text for text in same if text != answer][:2]
    candidates = [answer, *alternatives, *list(others)[: CANDIDATES - 1 - len(alternatives)]]
    rng.shuffle(candidates)
    worth = {answer: 1.0} | dict.fromkeys(alternatives, SEEN_RIGHT)
    relevance = tuple(worth.get(text, 0.0) for text in candidates) if dense else ()
    return Dialogue(dialogue.caption, dialogue.history, tuple(candidates), candidates.index(answer), relevance)


def _wrong(question: Question, rng: random.Random) -> Iterator[str]:
    """Distinct answers, enough for the candidates, to questions of other scenes, none of them to this one with this answer.

    Half of them answer a question of the same kind, or fewer, where there are not so many.
    """
    found: dict[bool, dict[str, None]] = {True: {}, False: {}}
    most = {True: round(ALIKE * CANDIDATES), False: CANDIDATES}
    for scene in sample_scenes("train", (2, 3), rng, signs=0.5):
        for asked in (ask(scene, CHAT, rng) for _ in range(4)):
            alike, text = asked.kind == question.kind, asked.answer(rng)
            right = alike and asked.fact == question.fact
            if not right and text not in found[alike] and len(found[alike]) < most[alike]:
                found[alike][text] = None
                yield text
        if sum(map(len, found.values())) > CANDIDATES:
            return
