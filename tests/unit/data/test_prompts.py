"""Prompts: each family is asked in the form that it was taught."""

from __future__ import annotations

import pytest

from fastvlm.data.example import Dialogue, Example
from fastvlm.data.prompts import prompt_parts, prompt_text

TOLD, HISTORY = "A grey picture.", (("Is there a ring?", "Yes, one."), ("Where is it?", "On top."))


def asked(history: tuple[tuple[str, str], ...]) -> Example:
    return Example("one", "test", "dialogue", "What colour is it?", ("Red.",), "0" * 64, dialogue=Dialogue(TOLD, history))


@pytest.mark.parametrize("family", ["llava", "blip2-opt", "blip2-t5"])
@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_a_dialogue_is_told_in_order_and_ends_with_its_question(family: str, rounds: int) -> None:
    text = prompt_text(family, asked(HISTORY[:rounds]))
    said = [TOLD, *(part.rstrip(".") for pair in HISTORY[:rounds] for part in pair), "What colour is it?"]
    places = [text.index(part) for part in said]
    assert places == sorted(places)
    assert text.endswith(("Answer:", "ASSISTANT:"))


def test_an_encoder_is_shown_one_question_and_no_answer_to_learn() -> None:
    example = asked(HISTORY)
    assert prompt_text("blip2-t5", example) == (
        "A grey picture. Dialog history: Is there a ring? Yes, one. Where is it? On top.\nQuestion: What colour is it? Answer:"
    )
    assert len(prompt_parts("blip2-t5", example)) == 1


def test_a_decoder_learns_each_answer_of_the_history() -> None:
    assert prompt_parts("blip2-opt", asked(HISTORY))[1::2] == [" Yes, one.", " On top."]
