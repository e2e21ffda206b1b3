"""The six tasks on drawn scenes: what each shows, asks and counts as an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from fastvlm.data.example import Example, hash_pixels
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.scene_dialogue import ROUNDS, caption_of, converse, round_of, with_candidates
from fastvlm.data.scene_questions import CAPABILITIES, ONE_WORD, Question, ask
from fastvlm.data.scene_stories import CATEGORIES
from fastvlm.data.scenes import Scene, draw, sample_scenes
from fastvlm.data.wording import NUMBERS, caption

REFERENCES, ANNOTATORS = 5, 10
SIGNS, CAPTIONED_SIGNS = 0.5, 0.3  # share of the scenes with a sign, of those that are asked about and of those that get a caption
CAREFUL, OTHERWISE = 0.85, 0.1  # how often an annotator says the word of the fact, or another word for it; else a wrong one
SYNONYMS = {"large": "big", "small": "little", "grey": "gray"} | {word: str(number) for number, word in enumerate(NUMBERS) if number}

Draw = Callable[[str, random.Random], Iterator[Example]]


def examples(name: str, task: str, split: str, seed: int) -> Iterator[Example]:
    """Endless examples of a task's split; the seed names the split, so that its size changes no other split."""
    for number, example in enumerate(TASKS[task](split, random.Random(f"{seed}-{name}-{split}"))):
        yield replace(example, id=f"{name}-{split}-{number:06d}")


def captions(split: str, rng: random.Random) -> Iterator[Example]:
    for scene in sample_scenes(split, (1, 2), rng, signs=CAPTIONED_SIGNS):
        yield _example(split, "caption", TASK_PROMPTS["caption"], scene, tuple(caption(scene, rng) for _ in range(REFERENCES)))


def novel_captions(split: str, rng: random.Random) -> Iterator[Example]:
    """Captions by domain: things of colours and shapes that were seen together in training, that never were, and one of each."""
    for scene in sample_scenes(split, (1, 2), rng, novel=True, signs=CAPTIONED_SIGNS):
        domain = "in-domain" if not scene.novel else "out-domain" if scene.novel == len(scene.things) else "near-domain"
        references = tuple(caption(scene, rng) for _ in range(REFERENCES))
        yield replace(_example(split, "caption", TASK_PROMPTS["caption"], scene, references), tags=(domain,))


def descriptions(split: str, rng: random.Random) -> Iterator[Example]:
    """The categories in turn; what a judge is told of the picture is what is described in detail."""
    for number, scene in enumerate(sample_scenes(split, (3, 4), rng)):
        category = tuple(CATEGORIES)[number % len(CATEGORIES)]
        prompt, tell = CATEGORIES[category]
        references = tuple(tell(scene, rng) for _ in range(REFERENCES))
        context = CATEGORIES["detail"][1](scene, rng)
        yield replace(_example(split, "description", prompt, scene, references), tags=(category,), context=context)


def questions(split: str, rng: random.Random) -> Iterator[Example]:
    """Answered in a sentence; the tags are the capabilities that the question asks for."""
    for scene in sample_scenes(split, (1, 2, 3), rng, signs=SIGNS):
        question = ask(scene, CAPABILITIES, rng)
        references = tuple(question.answer(rng) for _ in range(REFERENCES))
        yield replace(_example(split, "question", question.text, scene, references), tags=question.tags, answer=question.fact)


def one_word_questions(split: str, rng: random.Random) -> Iterator[Example]:
    """Ten people answer each in a word, and do not all agree; the tag is the type of the answer."""
    for scene in sample_scenes(split, (1, 2, 3), rng, signs=SIGNS):
        question = ask(scene, ONE_WORD, rng)
        if " " not in question.fact:
            kind = "yes/no" if question.fact in ("yes", "no") else "number" if question.kind == "count" else "other"
            answers = tuple(_annotate(question, scene, rng) for _ in range(ANNOTATORS))
            yield replace(_example(split, "vqa", question.text, scene, answers), tags=(kind,), answer=question.fact)


def dialogues(split: str, rng: random.Random) -> Iterator[Example]:
    """Ten examples a scene, one a round; the rounds of test have candidates, one of the ten with relevances.

    Of a scene of train one round is taken, drawn by chance: the rounds before it stand in its prompt, and more scenes are seen.
    """
    # Of one shape alone there are no ten different things to ask.
    scenes = (scene for scene in sample_scenes(split, (2, 3), rng, signs=SIGNS) if len({thing.shape for thing in scene.things}) > 1)
    for scene in scenes:
        shown, told, history = _example(split, "dialogue", "", scene, ()), caption_of(scene), []
        dense = taken = rng.randrange(ROUNDS)
        for number, question in enumerate(converse(scene, rng)):
            answer = question.answer(rng)
            dialogue = round_of(told, history)
            if split == "test":
                dialogue = with_candidates(dialogue, question, answer, rng, dense=number == dense)
            if split != "train" or number == taken:
                asked = replace(shown, prompt=question.text, answer=question.fact, tags=(question.kind,))
                yield replace(asked, references=(answer,), dialogue=dialogue)
            history.append((question.text, answer))


TASKS: dict[str, Draw] = {
    "caption": captions,
    "novel": novel_captions,
    "dialogue": dialogues,
    "question": questions,
    "description": descriptions,
    "vqa": one_word_questions,
}


def _example(split: str, task: str, prompt: str, scene: Scene, references: tuple[str, ...]) -> Example:
    return Example("", split, task, prompt, references, hash_pixels(draw(scene)), scene=scene.to_dict())


def _annotate(question: Question, scene: Scene, rng: random.Random) -> str:
    chance = rng.random()
    if chance < CAREFUL:
        return question.fact
    if chance < CAREFUL + OTHERWISE:
        return SYNONYMS.get(question.fact, question.fact)
    return ask(scene, ONE_WORD, rng).fact
