"""Pieces are cut where tokens end, whatever a token looks like alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastvlm.decoding.pieces import pieces
from fastvlm.models.zoo import build_processor
from tests import tiny

END = 256


def bytes_to_text(tokens):
    """A tokenizer of one byte a token, as the byte-level ones are at their worst; `END` is special."""
    return bytes(token for token in tokens if token != END).decode(errors="replace").strip()


@given(st.text(max_size=12))
def test_joined_they_are_the_text_and_each_character_has_one_owner(text):
    tokens = [*text.encode(errors="ignore"), END]
    found = pieces(bytes_to_text, tokens)
    assert len(found) == len(tokens)
    assert "".join(found) == bytes_to_text(tokens)
    assert found[-1] == "" or "\ufffd" in found[-1]
    assert all(len(piece) <= 1 or piece.isspace() or piece[:-1].isspace() or "\ufffd" in piece for piece in found)


def test_a_character_of_several_tokens_belongs_to_the_last():
    assert pieces(bytes_to_text, [*"aé b".encode(), END]) == ["a", "", "é", "", " b", ""]


def test_of_a_real_tokenizer_they_are_its_tokens():
    tokenizer = build_processor(tiny.knobs("llava"), [f" {text}" for example in tiny.examples(30) for text in example.references]).tokenizer
    text = " A small red circle at the top."
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = pieces(lambda ids: tokenizer.decode(ids, skip_special_tokens=True).strip(), [*tokens, tokenizer.eos_token_id])
    assert "".join(found) == text.strip()
    alone = [tokenizer.decode([token]) for token in tokens]
    assert [piece.strip() for piece in found] == [*(piece.strip() for piece in alone), ""]
