"""The words that a task puts to a model: what is asked, and the form in which each family was taught to be asked."""

from __future__ import annotations

from fastvlm.data.example import Dialogue, Example

# This project's own wording: the datasets that it is used with give images and captions, no instruction.
TASK_PROMPTS = {
    "caption": "Describe the image in one sentence.",
    "description": "Describe the image in detail.",
}

# Source: the llava-hf model cards and processors (the authors' own form has a system sentence before it).
LLAVA = "USER: <image>\n{prompt} ASSISTANT:"
LLAVA_NEXT, LLAVA_ANSWER = "USER: {prompt} ASSISTANT:", " {answer}</s>"
# Source: LLaVA-1.5 (Liu et al., arXiv 2310.03744), section 3.2: what makes it answer in one word.
LLAVA_SHORT = "USER: <image>\n{prompt}\nAnswer the question using a single word or phrase. ASSISTANT:"
# Source: BLIP-2 (Li et al., arXiv 2301.12597, section 4.2).
BLIP2 = "Question: {prompt} Answer:"
# Source: LAVIS, the zero-shot VQA configurations of BLIP-2, for OPT and for Flan-T5 alike.
BLIP2_SHORT = "Question: {prompt} Short answer:"
# Source: the BLIP-2 release's example of a chat.
BLIP2_ANSWER = " {answer}."
# Source: InstructBLIP (Dai et al., arXiv 2305.06500, appendix), visual dialogue: one 'Question:', which an encoder finds.
BLIP2_HISTORY, BLIP2_ROUND = "Dialog history:{rounds}\n", " {question} {answer}."
# Source: LAVIS, the caption configurations of BLIP-2. What it was taught to continue, not to answer.
BLIP2_CAPTION = "a photo of"

TEMPLATES = {
    "llava": {"": LLAVA, "vqa": LLAVA_SHORT},
    "blip2-opt": {"": BLIP2, "caption": BLIP2_CAPTION, "vqa": BLIP2_SHORT},
    "blip2-t5": {"": BLIP2, "caption": BLIP2_CAPTION, "vqa": BLIP2_SHORT},
}


def prompt_text(family: str, example: Example) -> str:
    """The text that a model of `family` is given; its processor adds the image's placeholders where the text has none."""
    return "".join(prompt_parts(family, example))


def prompt_parts(family: str, example: Example) -> list[str]:
    """The prompt in parts: in turn what the model is told and asked, and what it is to have answered; it ends with what is asked."""
    if example.dialogue:
        return _chat(family, example.dialogue, example.prompt)
    templates = TEMPLATES[family]
    return [templates.get(example.task, templates[""]).format(prompt=example.prompt)]


def _chat(family: str, dialogue: Dialogue, question: str) -> list[str]:
    """The picture's caption and all that was said, as it was said by people, then the question."""
    if family == "blip2-t5":
        return [_told(dialogue) + BLIP2.format(prompt=question)]
    asked = [question for question, _ in dialogue.history] + [question]
    if family == "llava":
        answers = [LLAVA_ANSWER.format(answer=answer) for _, answer in dialogue.history]
        turns = [LLAVA.format(prompt=f"{dialogue.caption} {asked[0]}"), *(LLAVA_NEXT.format(prompt=text) for text in asked[1:])]
    else:
        answers = [BLIP2_ANSWER.format(answer=answer.rstrip(".")) for _, answer in dialogue.history]
        before = [f"{dialogue.caption} ", *(" " for _ in asked[1:])]
        turns = [before + BLIP2.format(prompt=text) for before, text in zip(before, asked, strict=True)]
    return [*(part for pair in zip(turns, answers, strict=False) for part in pair), turns[-1]]


def _told(dialogue: Dialogue) -> str:
    """What an encoder reads before the question."""
    rounds = "".join(BLIP2_ROUND.format(question=asked, answer=said.rstrip(".")) for asked, said in dialogue.history)
    return f"{dialogue.caption} " + (BLIP2_HISTORY.format(rounds=rounds) if rounds else "")
