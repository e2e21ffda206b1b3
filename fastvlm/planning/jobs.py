"""The jobs of an experiment, as the workflow's rules make them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastvlm import knobs
from fastvlm.config import Config
from fastvlm.figures import FIGURES
from fastvlm.methods import FITTED

COMMON = ("select", "tables", "means", "policies", "ceiling", "quality", "compare", "limits", "headline", "all")


class Job(NamedTuple):
    """`model` and `dataset` are "" where a job belongs to all of them."""

    rule: str
    model: str = ""
    dataset: str = ""


def list_jobs(config: Config) -> list[Job]:
    """Every job of an experiment that begins from nothing."""
    models = [job for model in config.models for job in _of_model(config, model)]
    return [*(Job("data", dataset=dataset) for dataset in config.datasets), *models, *_of_all(config)]


def _of_model(config: Config, model: str) -> Iterator[Job]:
    source = config.models[model].source
    if source != "folder":
        yield Job({"train": "pretrain", "hub": "fetch"}[source], model)
    exits = knobs.exit_layers(config, model, "fastvlm")
    if (exits or config.methods.draft_verify) and config.distillation.text == "generated":
        yield Job("texts", model)
    seeds = config.distillation.seeds if exits else 0
    yield from [Job("distill", model)] * (len(exits) * seeds)
    if config.methods.draft_verify:
        yield Job("search", model)
    yield from [Job("finetune", model)] * len(knobs.retrained_methods(config))
    yield Job("cost", model)
    if knobs.ranks(config):
        yield Job("rank", model)
    methods, shards = len(knobs.decoded_methods(config)), knobs.shards(config)
    yield from [Job("decode", model)] * methods * shards
    yield from [Job("merge", model)] * methods * (shards > 1)
    for stage in ("observe", "fit"):
        yield from [Job(stage, model)] * sum(knobs.fits(config, model, method) for method in knobs.methods(config))
    if knobs.spreads(config):
        # Where no policy is fitted for it, the network that is raced was not watched yet.
        yield from [Job("observe", model)] * (seeds - knobs.fits(config, model, "fastvlm"))


def _of_all(config: Config) -> Iterator[Job]:
    trained = any(model.source == "train" for model in config.models.values())
    drawn = any(dataset.source == "scenes" for dataset in config.datasets.values())
    methods = knobs.methods(config)
    drawn_if = {
        "learning_curve": trained,
        "draft_length_by_context": "fastvlm" in methods,
        "gallery": "fastvlm" in methods,
        "predicted_speedup": set(FITTED) & set(methods),
    }
    figures = [name for name in FIGURES if drawn_if.get(name, True)]
    published = knobs.publishes(config)
    # What is published may be a judge's score; without a judge its table is empty.
    optional = {
        "learning_curve": trained,
        "see": drawn,
        "seeds": knobs.spreads(config),
        "gallery": "fastvlm" in methods,
        "judge": published or config.judge is not None,
        "published": published,
    }
    rules = [*COMMON, *(rule for rule, wanted in optional.items() if wanted), *(f"figure_{name}" for name in figures)]
    yield from map(Job, rules)
