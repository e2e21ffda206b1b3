"""The words that a task puts to a model: what is asked, and the form in which each family was taught to be asked."""

from __future__ import annotations

# This project's own wording: the datasets that it is used with give images and captions, no instruction.
TASK_PROMPTS = {
    "caption": "Describe the image in one sentence.",
    "description": "Describe the image in detail.",
}

# Source: the llava-hf model cards and processors (the authors' own form has a system sentence before it).
LLAVA = "USER: <image>\n{prompt} ASSISTANT:"
# Source: BLIP-2 (Li et al., arXiv 2301.12597, section 4.2) for questions; Flan-T5 is asked for a short answer to a question only.
BLIP2 = "Question: {prompt} Answer:"
# Source: LAVIS, the caption configurations of BLIP-2. What it was taught to continue, not to answer.
BLIP2_CAPTION = "a photo of"

TEMPLATES = {
    "llava": {"": LLAVA},
    "blip2-opt": {"": BLIP2, "caption": BLIP2_CAPTION},
    "blip2-t5": {"": BLIP2, "caption": BLIP2_CAPTION},
}


def prompt_text(family: str, task: str, prompt: str) -> str:
    """The text that a model of `family` is given for `prompt`; its processor adds the image's placeholders where the text has none."""
    templates = TEMPLATES[family]
    return templates.get(task, templates[""]).format(prompt=prompt)
