"""The theorem against a loop that reads the full model's choices one by one."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.decoding.verify import chances, verify_greedy

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


def test_chances_by_hand():
    """Stands with 0.2 / 0.4, else token 0 or 2 by what q lacks there; behind the last draft, the bonus."""
    wanted = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]], dtype=torch.float64)
    proposed = torch.tensor([[0.4, 0.4, 0.2]], dtype=torch.float64)
    found = chances(torch.tensor([1]), proposed, wanted)
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.5, 0.25], [0.1, 0.6, 0.3]], dtype=torch.float64))
    sure = chances(torch.tensor([0]), proposed, wanted)[0]
    assert sure.tolist() == [1, 0, 0]  # p is above q


def test_a_drafter_that_is_the_model_is_always_believed():
    both = torch.tensor([[0.5, 0.25, 0.25]])
    assert chances(torch.tensor([2]), both, torch.cat((both, both)))[0].tolist() == [0, 0, 1]
