"""Weights and dropout by hand, from the paper's formulas; a skipped layer gives back what it was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fastvlm.finetuning.recipes import draw_kept, dropout_rates, joint_weights, loss_weights, skipping
from fastvlm.models.corpus import Corpus
from fastvlm.models.load import load_backbone
from tests import tiny

SKIP = {"method": "layerskip", "dropout": 0.2, "exit_scale": 0.5, "curriculum": "rotational", "rotation": 2, "training": {"steps": 40}}


def test_joint_weights_share_what_the_exits_have():
    assert joint_weights((2, 4), 0.5, 8) == {2: 0.25, 4: 0.25, 8: 1.0}


def test_rotational_losses_take_turns_and_the_last_always_counts():
    # Of five layers, counted from 0 as the paper does: 0.5 * (0 + 1 + .. + l), and 4 + 0.5 * (0 + 1 + 2 + 3) at the last.
    assert loss_weights(SKIP, 5, 0) == {3: 0.5 * 3, 5: 4 + 0.5 * 6}
    assert loss_weights(SKIP, 5, 1) == {2: 0.5 * 1, 4: 0.5 * 6, 5: 4 + 0.5 * 6}
    assert loss_weights(SKIP, 5, 2) == loss_weights(SKIP, 5, 0)


def test_gradual_losses_begin_at_the_last_layer():
    gradual = SKIP | {"curriculum": "gradual", "rotation": None}
    # One more layer every 40 / (2 * 5) = 4 steps.
    counted = {step: sorted(loss_weights(gradual, 5, step)) for step in (0, 3, 4, 8, 12, 39)}
    assert counted == {0: [5], 3: [5], 4: [4, 5], 8: [3, 4, 5], 12: [2, 3, 4, 5], 39: [2, 3, 4, 5]}


def test_dropout_rises_exponentially_from_none_to_all_of_it():
    rates = dropout_rates(SKIP, 5)
    assert rates == pytest.approx([0, 0.2 * (2**0.25 - 1), 0.2 * (2**0.5 - 1), 0.2 * (2**0.75 - 1), 0.2])
    assert dropout_rates({"method": "ssd-joint"}, 3) == [0, 0, 0]


def test_layers_are_left_out_as_often_as_the_rates_say():
    kept = draw_kept([0.0, 0.1, 0.5], 20000, np.random.default_rng(1)).double().mean(1)
    assert kept[0] == 1
    assert kept.tolist() == pytest.approx([1, 0.9, 0.5], abs=0.02)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_text_that_skips_a_layer_is_given_on_and_outside_nothing_is_skipped(tmp_path, family):
    backbone = load_backbone(tiny.save_checkpoint(tmp_path, family), {"device": "cpu", "dtype": "float32"})
    corpus = Corpus(tiny.examples(2), backbone.processor, family)
    batch = corpus.collate(range(2), [answers[0] for answers in corpus.answers])
    plain = backbone.hidden(batch)
    kept = torch.ones(tiny.LAYERS, 2, dtype=torch.bool)
    with skipping(backbone.layers, kept):
        assert torch.equal(backbone.hidden(batch), plain)
    kept[3, 1] = False
    with skipping(backbone.layers, kept):
        skipped = backbone.hidden(batch)
    assert torch.equal(skipped[0], plain[0]) and not torch.allclose(skipped[1], plain[1])
    assert torch.equal(backbone.hidden(batch), plain)
    del backbone.layers[3]
    torch.testing.assert_close(backbone.hidden(batch)[1], skipped[1])
