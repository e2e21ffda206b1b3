"""What each stage is told of the configuration: no more than it reads, so that a changed knob makes stale only what depends on it."""

from __future__ import annotations

from typing import Any

from fastvlm.config import Config
from fastvlm.config_types import Knobs
from fastvlm.methods import BARE, DRAFTING, EXITING, FITTED, IMITATING, ORACLE_OF, RETRAINED, TUNED

# The benchmarks of which `metrics/published.yaml` knows scores.
PUBLISHED = ("coco", "nocaps", "mm-vet", "llava-wild", "vqav2")


def methods(config: Config) -> list[str]:
    """The methods that the experiment compares, in the order of the configuration's schema."""
    return list(config.methods.configured())


def decoded_methods(config: Config) -> list[str]:
    """Those with decode jobs of their own."""
    return [name for name in methods(config) if name != "oracle"]


def tuned_methods(config: Config) -> list[str]:
    return [name for name in decoded_methods(config) if name in TUNED]


def with_oracle(config: Config, method: str) -> bool:
    """Whether the oracle is decoded in a method's job."""
    return method == ORACLE_OF and config.methods.oracle is not None


def exit_layers(config: Config, model: str, method: str) -> list[int]:
    """The model's own, else the method's; empty for a method that has none, or that the experiment leaves out."""
    if method not in EXITING or method not in methods(config):
        return []
    method = "fastvlm" if method in IMITATING else method
    own = getattr(config.models[model], "exit_layers", None)
    return list(getattr(own, method.replace("-", "_"), None) or config.methods.configured()[method].exit_layers)


def arithmetic(config: Config, model: str) -> dict[str, str]:
    """`device` and `dtype` of a model: its own, else the experiment's."""
    return {key: getattr(config.models[model], key, None) or getattr(config, key) for key in ("device", "dtype")}


def data(config: Config, dataset: str) -> dict[str, Any]:
    return _plain(config.datasets[dataset], exclude={"max_new_tokens", "shards", "repeats"})


def pretrain(config: Config, model: str) -> dict[str, Any]:
    return {"name": model, "seed": config.seed, "device": config.device, **_plain(config.models[model])}


def training_length(config: Config, model: str) -> int:
    """Layers x steps: which of several trainings takes longer. T5's encoder is as deep as its decoder."""
    trained = config.models[model]
    stacks = 2 if trained.family == "blip2-t5" else 1
    return stacks * sum(stage.layers * stage.steps for stage in trained.training.stages)


def fetch(config: Config, model: str) -> dict[str, Any]:
    return _plain(config.models[model], include={"id", "revision"})


def texts(config: Config, model: str) -> dict[str, Any]:
    """`max_new_tokens` is a list in the order of the manifests."""
    return {
        **arithmetic(config, model),
        "threads": config.distillation.threads,
        "examples": config.distillation.examples,
        "generation_batch": config.distillation.generation_batch,
        "max_new_tokens": [dataset.max_new_tokens for dataset in config.datasets.values()],
    }


def network_seeds(config: Config) -> list[int]:
    """Of the networks that are distilled for each exit layer: the experiment's, of the one that is raced, then those that follow it."""
    return [config.seed + number for number in range(config.distillation.seeds)]


def spreads(config: Config) -> bool:
    """Whether there are networks of several seeds to compare."""
    return config.distillation.seeds > 1 and config.methods.fastvlm is not None


def distill(config: Config, model: str, network: str, exit_layer: int, seed: int | None = None) -> dict[str, Any]:
    return {
        "seed": config.seed if seed is None else seed,
        **arithmetic(config, model),
        "network": network,
        "layers": config.methods.fastvlm.layers,
        "exit_layer": exit_layer,
        **_plain(config.distillation, exclude={"generation_batch", "seeds"}),
    }


def search(config: Config, model: str) -> dict[str, Any]:
    return {
        "seed": config.seed,
        **arithmetic(config, model),
        "threads": config.distillation.threads,
        "text": config.distillation.text,
        "longest_draft": max(config.decoding.draft_lengths),
        **_plain(config.methods.draft_verify),
    }


def retrained_methods(config: Config) -> list[str]:
    return [name for name in methods(config) if name in RETRAINED]


def finetune(config: Config, model: str, method: str) -> dict[str, Any]:
    """LayerSkip teaches all layers, so that its exit layers are no concern of its training. Without adapters all is float32."""
    told = _plain(config.methods.configured()[method], exclude={"exit_layers"})
    if method == "ssd-joint":
        told["exit_layers"] = exit_layers(config, model, method)
    if config.models[model].source == "train":
        told["training"]["lora"] = None
    how = arithmetic(config, model) | ({} if told["training"]["lora"] else {"dtype": "float32"})
    return {"name": model, "method": method, "seed": config.seed, **how, **told}


def shards(config: Config) -> int:
    """How many jobs decode a method of a model: as many as the dataset of most shards has."""
    return max(dataset.shards for dataset in config.datasets.values())


def decode(config: Config, model: str, method: str, shard: int = 0) -> dict[str, Any]:
    """`max_new_tokens`, `repeats` and `shards` are lists in the order of the manifests."""
    return {
        "experiment": config.experiment,
        "model": model,
        "method": method,
        **raced(config, method),
        **arithmetic(config, model),
        "exit_layers": exit_layers(config, model, method),
        "draft_lengths": list(config.decoding.draft_lengths) if method in DRAFTING else [],
        "policies": policies(config, method),
        "oracle": with_oracle(config, method),
        "sampling": sampling(config),
        "warmup": config.decoding.warmup,
        "repeats": [repeats(config, dataset) for dataset in config.datasets],
        "threads": config.decoding.threads,
        "timed": config.decoding.timed,
        "max_new_tokens": [dataset.max_new_tokens for dataset in config.datasets.values()],
        "shard": shard,
        "shards": [dataset.shards for dataset in config.datasets.values()],
    }


def sampling(config: Config) -> dict[str, Any] | None:
    """How tokens are drawn, and the seed; None for greedy decoding."""
    return {"seed": config.seed, **_plain(config.decoding.sampling)} if config.decoding.sampling else None


def splits(method: str) -> list[str]:
    """On validation only methods with a setting to choose are decoded."""
    return ["validation", "test"] if method in TUNED else ["test"]


def raced(config: Config, method: str) -> dict[str, Any]:
    """Which examples are decoded."""
    return {"splits": splits(method), "choose_on": config.decoding.choose_on}


def repeats(config: Config, dataset: str) -> int:
    return config.datasets[dataset].repeats or config.decoding.repeats


def policies(config: Config, method: str) -> list[str]:
    """Those that are fitted for a method, besides fixed lengths."""
    return list(config.decoding.policies) if method in FITTED else []


def fits(config: Config, model: str, method: str) -> bool:
    """Whether any policy is fitted for a method on a model."""
    return bool(policies(config, method) and fitted_at(config, model, method))


def fitted_at(config: Config, model: str, method: str) -> list[int | None]:
    """The exit layers for which policies are fitted; None stands for a method without any."""
    return exit_layers(config, model, method) if method in EXITING else [None]


def observe(config: Config, model: str, method: str) -> dict[str, Any]:
    told = decode(config, model, method)
    kept = {key: told[key] for key in ("method", "device", "dtype", "exit_layers", "sampling", "threads", "max_new_tokens")}
    return kept | {"longest_draft": max(config.decoding.draft_lengths)}


def fit(config: Config, model: str, method: str) -> dict[str, Any]:
    exits, longest = fitted_at(config, model, method), max(config.decoding.draft_lengths)
    return {"method": method, "datasets": list(config.datasets), "exit_layers": exits, "longest_draft": longest}


def cost(config: Config, model: str) -> dict[str, Any]:
    return {
        "model": model,
        **arithmetic(config, model),
        "exit_layers": {method: exit_layers(config, model, method) for method in (*BARE, "fastvlm")},
        "longest_draft": max(config.decoding.draft_lengths),
        "threads": config.decoding.threads,
    }


def tables(config: Config) -> dict[str, Any]:
    return {"seed": config.seed, "timed": config.decoding.timed, **_plain(config.statistics)}


def quality(config: Config) -> dict[str, Any]:
    return {"seed": config.seed, **_plain(config.statistics, exclude={"context_bin"})}


def ranks(config: Config) -> bool:
    """Whether any dataset may have candidate answers to rank."""
    return any(getattr(one, "task", None) == "dialogue" or getattr(one, "benchmark", None) == "visdial" for one in config.datasets.values())


def rank(config: Config, model: str) -> dict[str, Any]:
    return {"model": model, **arithmetic(config, model), "threads": config.decoding.threads}


def judge(config: Config) -> dict[str, Any]:
    return quality(config) | {"judge": _plain(config.judge) if config.judge else None}


def published(config: Config) -> dict[str, Any]:
    """What is comparable with published scores: `models` by their hub ids, `datasets` by the benchmark that they are."""
    return {
        "models": {name: model.id for name, model in config.models.items() if model.source == "hub"},
        "datasets": {name: one.benchmark for name, one in config.datasets.items() if getattr(one, "benchmark", None) in PUBLISHED},
    }


def publishes(config: Config) -> bool:
    """Whether there is anything to put beside published scores."""
    return all(published(config).values())


def _plain(knobs: Knobs, *, include: set[str] | None = None, exclude: set[str] | None = None) -> dict[str, Any]:
    return knobs.model_dump(mode="json", include=include, exclude=exclude)
