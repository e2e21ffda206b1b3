"""Bytes that the stages of a model need where they run, from the knobs that these stages read."""

from __future__ import annotations

from collections.abc import Mapping

from fastvlm import knobs
from fastvlm.config import Config
from fastvlm.imitation import EVALUATION_BATCH
from fastvlm.planning import estimate
from fastvlm.planning.estimate import Lesson
from fastvlm.planning.hours import Counts, settings, train_texts
from fastvlm.planning.shapes import Shape


def decode_needs(config: Config, model: str, dataset: str, shape: Shape, device: str) -> int:
    """Of the decode job that holds most: FastVLM's, with the networks of all exit layers, and on a CPU, where settings take turns, a cache
    for each setting of an exit layer, for plain decoding and for their common prefix."""
    exits = knobs.exit_layers(config, model, "fastvlm")
    networks = len(exits) * network_parameters(config, shape) if exits else 0
    new_tokens = config.datasets[dataset].max_new_tokens + config.decoding.draft_lengths[-1]
    dtype, caches = knobs.arithmetic(config, model)["dtype"], 2 + settings(config, "fastvlm") if device == "cpu" else 2
    return estimate.decode_bytes(shape, dtype, new_tokens=new_tokens, networks=networks, caches=caches)


def training_needs(config: Config, model: str, shape: Shape, counts: Mapping[str, Counts]) -> dict[str, int | None]:
    """Stage -> bytes, of those that train on a model or make drafters; None where the number of texts is not known."""
    return _drafter_needs(config, model, shape, counts) | _finetune_needs(config, model, shape)


def _drafter_needs(config: Config, model: str, shape: Shape, counts: Mapping[str, Counts]) -> dict[str, int | None]:
    dtype = knobs.arithmetic(config, model)["dtype"]
    longest = max(dataset.max_new_tokens for dataset in config.datasets.values())
    needs: dict[str, int | None] = {}
    if knobs.exit_layers(config, model, "fastvlm"):
        lesson = _lesson(config, counts)
        needs["distill"] = lesson and estimate.distill_bytes(shape, dtype, lesson, network=network_parameters(config, shape))
    if skipping := config.methods.draft_verify:
        needs["search"] = estimate.search_bytes(shape, dtype, texts=skipping.texts, longest=longest)
    if needs and config.distillation.text == "generated":
        batch = config.distillation.generation_batch
        needs["texts"] = estimate.texts_bytes(shape, dtype, new_tokens=longest, batch=batch)
    return needs


def _finetune_needs(config: Config, model: str, shape: Shape) -> dict[str, int | None]:
    """Of the method that holds most, where any fine-tunes."""
    sizes = []
    for method in knobs.retrained_methods(config):
        told = knobs.finetune(config, model, method)
        lora, tokens = told["training"]["lora"], told["training"]["batch_tokens"]
        learned = estimate.adapter_parameters(shape, lora["rank"]) if lora else shape.parameters.total
        exits = 1 + (len(told["exit_layers"]) if "exit_layers" in told else -(-shape.decoder_layers // (told["rotation"] or 1)))
        sizes.append(estimate.finetune_bytes(shape, told["dtype"], learned=learned, tokens=tokens, exits=exits))
    return {"finetune": max(sizes)} if sizes else {}


def network_parameters(config: Config, shape: Shape) -> int:
    """Of one imitation network."""
    return estimate.network_parameters(shape, config.methods.fastvlm.network)


def _lesson(config: Config, counts: Mapping[str, Counts]) -> Lesson | None:
    """What a network learns from and is checked on, over all datasets; texts count as long as they may become."""
    if any(own["validation"] is None for own in counts.values()):
        return None
    texts = {name: train_texts(config, own) + own["validation"] for name, own in counts.items()}
    limits = {name: dataset.max_new_tokens for name, dataset in config.datasets.items()}
    spoken = sum(texts[name] * limits[name] for name in texts)
    return Lesson(sum(texts.values()), spoken, max(limits.values()), config.distillation.batch, EVALUATION_BATCH)
