"""Momentum that is made orthogonal, for matrices alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fastvlm.models.muon import Muon, build_optimizer, orthogonal


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(2, 12), st.integers(2, 12), st.integers(0, 99))
def test_singular_values_come_near_one_and_directions_stay(count, rows, columns, seed):
    matrices = torch.randn(count, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    near = orthogonal(matrices)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ near @ right.mT
    diagonal = turned.diagonal(dim1=1, dim2=2)
    assert torch.allclose(turned, torch.diag_embed(diagonal), atol=1e-6)
    # Of those that are no smaller than a hundredth of the norm: the iteration is short.
    large = values > 0.01 * values.norm(dim=1, keepdim=True)
    assert ((diagonal > 0.3) & (diagonal < 1.3))[large].all()


def test_matrices_of_one_shape_together_are_as_they_are_alone():
    torch.manual_seed(0)
    matrices = torch.randn(3, 8, 4)
    alone = torch.cat([orthogonal(matrix[None]) for matrix in matrices])
    torch.testing.assert_close(orthogonal(matrices), alone)


def test_a_step_is_as_large_as_adamws_would_be():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(32, 64))
    weight.grad = torch.randn(32, 64)
    Muon([{"params": [weight], "lr": 0.01}]).step()
    assert 0.5 < weight.detach().square().mean().sqrt() / (0.2 * 0.01) < 1.5


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.layer, self.head = nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 5, bias=False)

    def get_output_embeddings(self):
        return self.head

    def loss(self):
        return self.head(self.layer(self.words.weight)).square().mean()


def test_tables_vectors_and_the_head_are_left_to_adamw():
    module = Tiny()
    adamw, muon = build_optimizer(module, [{"params": list(module.parameters()), "lr": 0.1}]).optimizers
    assert muon.param_groups[0]["params"] == [module.layer.weight]
    assert len(adamw.param_groups[0]["params"]) == 3


@pytest.mark.parametrize("saved_after", [0, 3])
def test_what_was_saved_goes_on_as_if_never_stopped(saved_after):
    def steps(module, optimizer, count):
        for _ in range(count):
            with torch.enable_grad():
                module.loss().backward()
            optimizer.step()
            optimizer.zero_grad()

    def fresh():
        torch.manual_seed(1)
        module = Tiny()
        return module, build_optimizer(module, [{"params": list(module.parameters()), "lr": 0.1}])

    whole, optimizer = fresh()
    steps(whole, optimizer, 6)
    begun, optimizer = fresh()
    steps(begun, optimizer, saved_after)
    weights, state = begun.state_dict(), optimizer.state_dict()
    other, optimizer = fresh()
    other.load_state_dict(weights), optimizer.load_state_dict(state)
    steps(other, optimizer, 6 - saved_after)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), other.parameters(), strict=True))
