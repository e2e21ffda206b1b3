"""What each stage is told of the configuration: no more than it reads, so that a changed knob makes stale only what depends on it."""

from __future__ import annotations

from typing import Any

from fastvlm.config import Config, Knobs

DRAFTING = ("ssd", "fastvlm")


def methods(config: Config) -> list[str]:
    """The methods that the experiment compares, in the order of the configuration's schema."""
    return [name for name in type(config.methods).model_fields if getattr(config.methods, name) is not None]


def drafting_methods(config: Config) -> list[str]:
    return [name for name in methods(config) if name in DRAFTING]


def exit_layers(config: Config, method: str) -> list[int]:
    """Empty for a method that does not draft."""
    return list(getattr(getattr(config.methods, method), "exit_layers", ()))


def data(config: Config, dataset: str) -> dict[str, Any]:
    return _plain(config.datasets[dataset], exclude={"max_new_tokens"})


def pretrain(config: Config, model: str) -> dict[str, Any]:
    return {"name": model, "seed": config.seed, "device": config.device, **_plain(config.models[model])}


def texts(config: Config) -> dict[str, Any]:
    """`max_new_tokens` is given by dataset, in the order of the manifests."""
    return {
        "seed": config.seed,
        "device": config.device,
        "examples": config.distillation.examples,
        "batch": config.distillation.batch,
        "precision": config.distillation.precision,
        "max_new_tokens": _max_new_tokens(config),
    }


def distill(config: Config, network: str, exit_layer: int) -> dict[str, Any]:
    return {
        "seed": config.seed,
        "device": config.device,
        "network": network,
        "exit_layer": exit_layer,
        **_plain(config.distillation),
    }


def decode(config: Config, model: str, dataset: str, method: str) -> dict[str, Any]:
    drafts = method in DRAFTING
    return {
        "experiment": config.experiment,
        "model": model,
        "dataset": dataset,
        "method": method,
        "seed": config.seed,
        "device": config.device,
        "dtype": config.dtype,
        "exit_layers": exit_layers(config, method),
        "draft_lengths": list(config.decoding.draft_lengths) if drafts else [],
        "warmup": config.decoding.warmup,
        "repeats": config.decoding.repeats,
        "max_new_tokens": config.datasets[dataset].max_new_tokens,
    }


def cost(config: Config, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "seed": config.seed,
        "device": config.device,
        "dtype": config.dtype,
        "exit_layers": {method: exit_layers(config, method) for method in drafting_methods(config)},
        "draft_lengths": list(config.decoding.draft_lengths),
        "warmup": config.decoding.warmup,
        "repeats": config.decoding.repeats,
    }


def see(config: Config, model: str) -> dict[str, Any]:
    return {"model": model, "device": config.device, "dtype": config.dtype, "max_new_tokens": _max_new_tokens(config)}


def tables(config: Config) -> dict[str, Any]:
    return {"seed": config.seed, **_plain(config.statistics)}


def _max_new_tokens(config: Config) -> dict[str, int]:
    return {name: dataset.max_new_tokens for name, dataset in config.datasets.items()}


def _plain(knobs: Knobs, exclude: set[str] | None = None) -> dict[str, Any]:
    return knobs.model_dump(mode="json", exclude=exclude)
