"""A stage is told what it reads and nothing else: so a changed knob makes stale only what depends on it."""

from __future__ import annotations

import yaml

from fastvlm import knobs
from fastvlm.config import load_config
from tests.workspace import PROJECT

SOURCE = yaml.safe_load((PROJECT / "config.yaml").read_text())
CONFIG = load_config(SOURCE)


def all_knobs(config) -> dict[str, object]:
    return {
        "data": knobs.data(config, "scenes-caption"),
        "pretrain": knobs.pretrain(config, "llava-small"),
        "texts": knobs.texts(config),
        "distill": knobs.distill(config, "transformer", 1),
        **{method: knobs.decode(config, "llava-small", "scenes-caption", method) for method in knobs.methods(config)},
        "cost": knobs.cost(config, "llava-small"),
        "tables": knobs.tables(config),
        "quality": knobs.quality(config),
    }


def changed_by(group: str, **values) -> set[str]:
    other = load_config({**SOURCE, group: {**SOURCE[group], **values}})
    return {stage for stage, told in all_knobs(other).items() if told != all_knobs(CONFIG)[stage]}


def test_draft_lengths_reach_only_methods_that_draft_and_the_cost():
    assert changed_by("decoding", draft_lengths=[1, 2, 3]) == {"ssd", "fastvlm", "cost"}


def test_statistics_reach_only_tables():
    assert changed_by("statistics", context_bin=7) == {"tables"}
    assert changed_by("statistics", resamples=99) == {"tables", "quality"}


def test_exit_layers_reach_only_their_method_and_the_cost():
    assert changed_by("methods", ssd={"exit_layers": [3]}) == {"ssd", "cost"}


def test_distillation_leaves_training_alone():
    assert changed_by("distillation", epochs=99) == {"distill"}
    assert changed_by("distillation", generation_batch=99) == {"texts"}


def test_a_method_that_is_left_out_is_not_run():
    config = load_config({**SOURCE, "methods": {"baseline": {}, "ssd": {"exit_layers": [4]}}})
    assert knobs.methods(config) == ["baseline", "ssd"]
    assert knobs.cost(config, "llava-small")["exit_layers"] == {"ssd": [4], "fastvlm": []}
