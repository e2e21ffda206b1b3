"""The losses against their formulas."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.imitation.losses import cosine_loss, distillation_loss, token_loss


def test_cosine_is_zero_for_the_same_direction_and_two_for_the_opposite():
    states = torch.randn(5, 8)
    torch.testing.assert_close(cosine_loss(3 * states, states), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(cosine_loss(-states, states), torch.tensor(2.0))


@given(seed=st.integers(0, 999), temperature=st.floats(0.5, 4))
def test_distillation_against_the_sum(seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 6, 9, generator=generator, dtype=torch.float64)
    p, q = torch.softmax(teacher / temperature, -1), torch.softmax(student / temperature, -1)
    expected = (p * (p.log() - q.log())).sum(-1).mean() * temperature**2
    torch.testing.assert_close(distillation_loss(student, teacher, temperature), expected)
    assert distillation_loss(teacher, teacher, temperature).abs() < 1e-9


@given(seed=st.integers(0, 999))
def test_token_loss_against_a_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(6, 9, generator=generator, dtype=torch.float64)
    tokens = torch.randint(0, 9, (6,), generator=generator)
    expected = -sum(torch.softmax(of, -1)[token].log() for of, token in zip(logits, tokens, strict=True)) / 6
    torch.testing.assert_close(token_loss(logits, tokens), expected)
