"""How many tokens a stage decodes: with a rate, its hours. Texts count as long as they may become, drafts as slow as plain decoding."""

from __future__ import annotations

from collections.abc import Mapping

from fastvlm import knobs
from fastvlm.config import Config
from fastvlm.methods import DRAFTING

Counts = Mapping[str, int | None]  # split -> examples; None where that is not known


def decodes_an_example(config: Config, model: str, method: str) -> int:
    """Texts that a method's job decodes of one example, once: its settings, and plain decoding beside the settings of each exit layer."""
    return max(1, len(knobs.exit_layers(config, model, method))) * (1 + settings(config, method))


def settings(config: Config, method: str) -> int:
    """Of a method at one exit layer, those of its oracle included."""
    if method not in DRAFTING:
        return 1
    return len(config.decoding.draft_lengths) * (1 + knobs.with_oracle(config, method)) + len(knobs.policies(config, method))


def decode_tokens(config: Config, model: str, dataset: str, counts: Counts) -> int | None:
    """Of all decode jobs of a model and dataset; None where the examples of a split are not counted."""
    if counts["test"] is None or counts["validation"] is None:
        return None
    return sum(method_tokens(config, model, method, dataset, counts) for method in knobs.decoded_methods(config))


def method_tokens(config: Config, model: str, method: str, dataset: str, counts: Counts) -> int:
    """Of a method's decode job in one dataset: test and, if it has settings to choose, as much of validation as they are raced on;
    warm-up included."""
    read, choose_on = config.datasets[dataset], config.decoding.choose_on or counts["validation"]
    examples = {"test": counts["test"], "validation": min(counts["validation"], choose_on)}
    decoded = sum(examples[split] for split in knobs.splits(method))
    decoded += min(decoded, config.decoding.warmup * read.shards)
    return decoded * decodes_an_example(config, model, method) * knobs.repeats(config, dataset) * read.max_new_tokens


def observe_tokens(config: Config, model: str, method: str, dataset: str, counts: Counts) -> int:
    """Of a method's observe job in one dataset: validation once at each exit layer."""
    settings = max(1, len(knobs.exit_layers(config, model, method)))
    return counts["validation"] * settings * config.datasets[dataset].max_new_tokens


def text_steps(config: Config, dataset: str, counts: Counts) -> int | None:
    """Steps of generating the distillation texts of a dataset, each of which makes one token for all images of a batch."""
    validation, batch = counts["validation"], config.distillation.generation_batch
    if validation is None:
        return None
    batches = -(-train_texts(config, counts) // batch) + -(-validation // batch)
    return batches * config.datasets[dataset].max_new_tokens


def train_texts(config: Config, counts: Counts) -> int:
    """Train images of a dataset that distillation uses, at most."""
    most, train = config.distillation.examples, counts["train"]
    return most if train is None else min(train, most)
