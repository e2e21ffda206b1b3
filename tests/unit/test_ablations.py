"""Which networks are distilled for the ablations: none twice, the experiment's own not at all."""

from __future__ import annotations

import yaml

from fastvlm import ablations, knobs
from fastvlm.config import load_config
from tests.workspace import PROJECT

SMOKE = yaml.safe_load((PROJECT / "config/smoke.yaml").read_text())
FACTORS = {
    "loss": {"both": {}, "kl": {"cosine_weight": 0.0}},
    "again": {"same-kl": {"cosine_weight": 0.0}, "own": {"kl_weight": 1.0}},
    "exit-layer": {"2": {"exit_layer": 2}, "3": {"exit_layer": 3}},
}


def experiment(**changes):
    return load_config(SMOKE | {"ablations": SMOKE["ablations"] | {"factors": FACTORS} | changes})


def test_values_that_change_the_same_knobs_alike_share_a_network():
    told = ablations.cells(experiment(), "llava-tiny")
    assert list(told) == ["default", "loss_kl", "exit-layer_2", "exit-layer_3"]
    assert told["default"] == knobs.distill(experiment(), "llava-tiny", "transformer", 1)
    assert told["loss_kl"] == told["default"] | {"cosine_weight": 0.0}
    assert told["exit-layer_3"] == told["default"] | {"exit_layer": 3}


def test_no_two_cells_share_a_name():
    factors = {"a": {"b-c": {"epochs": 7}}, "a-b": {"c": {"epochs": 8}}}
    assert [told["epochs"] for told in ablations.cells(experiment(factors=factors), "llava-tiny").values()] == [2, 7, 8]


def test_what_the_experiment_distils_for_itself_is_known():
    config = experiment()
    own, told = ablations.own_networks(config, "llava-tiny"), ablations.cells(config, "llava-tiny")
    assert [name for name in told if told[name] in own] == ["default", "exit-layer_2"]


def test_lines_are_one_a_model_factor_and_value():
    lines = ablations.lines(experiment(models=["llava-tiny", "blip2-t5-tiny"]))
    expected = [("loss", "both", "default"), ("loss", "kl", "loss_kl"), ("again", "same-kl", "loss_kl"), ("again", "own", "default")]
    expected += [("exit-layer", "2", "exit-layer_2"), ("exit-layer", "3", "exit-layer_3")]
    assert [tuple(line) for line in lines] == [(model, *of) for model in ("llava-tiny", "blip2-t5-tiny") for of in expected]


def test_each_is_decoded_at_its_own_exit_layer_and_the_same_draft_length():
    config = experiment(datasets=["scenes-description"], draft_length=7)
    told = ablations.decode(config, "llava-tiny", "exit-layer_3")
    assert (told["exit_layers"], told["draft_lengths"], told["policies"], told["splits"]) == ([3], [7], [], ["test"])
    assert (told["max_new_tokens"], told["repeats"]) == ([24], [1])


def test_none_are_asked_for():
    config = load_config(SMOKE | {"ablations": None})
    assert ablations.lines(config) == [] and ablations.models(config) == ()
