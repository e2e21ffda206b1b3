"""Which networks the ablations compare: the experiment's own, and one for each variation of a factor."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastvlm import knobs
from fastvlm.config import Config

DEFAULT = "default"


class Line(NamedTuple):
    """One line of the table: `cell` names the network, which values that change the same knobs alike share."""

    model: str
    factor: str
    value: str
    cell: str


def cells(config: Config, model: str) -> dict[str, dict[str, Any]]:
    """The networks of a model by name, each as the knobs of its distill stage, without doubles; the first is the experiment's own."""
    told = {DEFAULT: own_networks(config, model)[0]}
    for factor, value, varied in _variations(config):
        changed = told[DEFAULT] | varied
        if changed not in told.values():
            told[f"{factor}_{value}"] = changed  # names have no underscore, so no two cells share one
    return told


def own_networks(config: Config, model: str) -> list[dict[str, Any]]:
    """The networks that the experiment distils for itself, as knobs of the distill stage: one for each exit layer of FastVLM."""
    exit_layers = knobs.exit_layers(config, model, "fastvlm")
    return [knobs.distill(config, model, config.methods.fastvlm.network, exit_layer) for exit_layer in exit_layers]


def lines(config: Config) -> list[Line]:
    """The table's, in the order of the configuration; none where it asks for no ablations."""
    return [
        Line(model, factor, value, next(name for name, told in of.items() if told == of[DEFAULT] | varied))
        for model in models(config)
        for of in [cells(config, model)]
        for factor, value, varied in _variations(config)
    ]


def models(config: Config) -> tuple[str, ...]:
    return config.ablations.models if config.ablations else ()


def decode(config: Config, model: str, cell: str) -> dict[str, Any]:
    """What the decode stage is told: one exit layer, one draft length, the test images of the ablations' datasets."""
    datasets, exit_layer = config.ablations.datasets, cells(config, model)[cell]["exit_layer"]
    return knobs.decode(config, model, "fastvlm") | {
        "splits": ["test"],
        "exit_layers": [exit_layer],
        "draft_lengths": [config.ablations.draft_length],
        "oracle": False,
        "policies": [],
        "max_new_tokens": [config.datasets[dataset].max_new_tokens for dataset in datasets],
        "repeats": [knobs.repeats(config, dataset) for dataset in datasets],
        "shards": [1] * len(datasets),
    }


def _variations(config: Config) -> list[tuple[str, str, dict[str, Any]]]:
    """(factor, value, the knobs that it changes)."""
    return [
        (factor, value, variation.model_dump(mode="json", exclude_none=True))
        for factor, values in config.ablations.factors.items()
        for value, variation in values.items()
    ]
