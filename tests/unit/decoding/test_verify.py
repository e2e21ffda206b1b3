"""The theorem against a loop that reads the full model's choices one by one."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.decoding.verify import verify_greedy

VOCABULARY = 4


def slow_oracle(drafts: list[int], choices: list[int]) -> tuple[list[int], int]:
    tokens = []
    for draft, choice in zip(drafts, choices, strict=False):
        tokens.append(choice)
        if draft != choice:
            return tokens, len(tokens) - 1
    return [*tokens, choices[len(drafts)]], len(drafts)


@given(st.lists(st.integers(0, VOCABULARY - 1), max_size=8), st.data())
def test_equals_the_loop(drafts, data):
    choices = data.draw(st.lists(st.integers(0, VOCABULARY - 1), min_size=len(drafts) + 1, max_size=len(drafts) + 1))
    assert verify_greedy(torch.tensor(drafts, dtype=torch.long), torch.tensor(choices)) == slow_oracle(drafts, choices)


def test_all_stand_gives_a_bonus_and_none_a_correction():
    choices = torch.tensor([1, 2, 3])
    assert verify_greedy(torch.tensor([1, 2]), choices) == ([1, 2, 3], 2)
    assert verify_greedy(torch.tensor([0, 2]), choices) == ([1], 0)
