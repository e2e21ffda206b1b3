"""Train a small model from nothing: words first, then sentences from short to long, then depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ProcessorMixin

from fastvlm.data.example import Example, read_manifest
from fastvlm.data.prompts import prompt_text
from fastvlm.errors import UserError
from fastvlm.models.backbone import UNLABELLED, Backbone, Batch, DecoderOnly
from fastvlm.models.corpus import Corpus
from fastvlm.models.device import resolve_device, resolve_precision
from fastvlm.models.families import FAMILIES
from fastvlm.models.training import Stage, run_stage, write_curve
from fastvlm.models.training_state import TrainingState, fingerprint
from fastvlm.models.words import WordNaming, word_loss
from fastvlm.models.zoo import build_backbone, build_processor, grow
from fastvlm.provenance import code_digest
from fastvlm.rows import take_place, writing

TOKENIZER_EXAMPLES = 4000
# Biases must come to differ by several units, and AdamW moves a number by the rate: at the rate of matrices T5's encoder does not learn
# in a thousand steps to tell what stands near a word, and of a dialogue not which question is the last.
POSITION_RATE = 40.0


def pretrain(knobs: dict[str, Any], manifests: list[Path], output: Path) -> None:
    """Train on the manifests' train splits and save a transformers checkpoint with `learning_curve.csv` to `output`.

    Killed and started again with the same knobs and data, it goes on from its last checkpoint.
    """
    training = knobs["training"]
    knobs = knobs | {"training": training | {"precision": resolve_precision(training["precision"], resolve_device(knobs["device"]))}}
    torch.manual_seed(knobs["seed"])
    torch.set_num_threads(knobs["training"]["threads"])
    examples = [example for manifest in manifests for example in read_manifest(manifest, "train")]
    if not examples:
        raise UserError(f"{', '.join(map(str, manifests))}: no train example; expected some in at least one dataset")
    processor = build_processor(knobs, tokenizer_texts(examples, knobs["family"]))
    corpus = Corpus(lessons(examples, knobs["family"]), processor, knobs["family"])
    task = fingerprint(knobs, manifests, code_digest("fastvlm.models.pretrain"))
    state = TrainingState.find(output / ".checkpoint" / "state.pt", task)
    save(train(knobs, processor, corpus, state), output)
    write_curve(output / "learning_curve.csv", [step | {"model": knobs["name"]} for step in state.curve])
    state.clear()


def train(knobs: dict[str, Any], processor: ProcessorMixin, corpus: Corpus, state: TrainingState) -> Backbone:
    """All stages from the one where the state stands."""
    training, device = knobs["training"], resolve_device(knobs["device"])
    backbone = build_backbone(knobs, processor, training["stages"][0]["layers"])
    for index in range(len(training["stages"]) + 1):
        if index > 0:
            backbone = grow(backbone, knobs, training["stages"][index - 1]["layers"])
        backbone.model.to(device)
        if index == state.stage:
            make = word_stage if index == 0 else partial(sentence_stage, index=index - 1)
            run_stage(make(training, backbone, corpus, knobs["seed"]), state)
    return backbone


def word_stage(training: dict[str, Any], backbone: Backbone, corpus: Corpus, seed: int) -> Stage:
    """What comes before the language model learns to name; see `words`."""
    naming, batch = WordNaming(backbone), 2 * training["batch"]
    members = corpus.of_tasks(training["word_tasks"], 1.0)

    def loss(step: int) -> Tensor:
        return word_loss(naming, corpus, corpus.rows(step, batch, members, seed))

    groups = [{"params": list(naming.parameters()), "lr": training["word_rate"]}]
    # Muon gains nothing here.
    return Stage("words", naming, groups, training["word_steps"], loss, 0.05, training["checkpoint_every"], orthogonal=False)


def sentence_stage(training: dict[str, Any], backbone: Backbone, corpus: Corpus, seed: int, *, index: int) -> Stage:
    """Next-token prediction on the stage's part of the corpus; vision learns at a lower rate, position biases at a higher one."""
    knobs = training["stages"][index]
    members = corpus.of_tasks(knobs["tasks"], knobs["share"])

    def loss(step: int) -> Tensor:
        batch = corpus.batch(step, training["batch"], members, seed + 1 + index, most_tokens=training["batch_tokens"])
        return sentence_loss(backbone, batch, precision=training["precision"])

    rate = knobs["learning_rate"]
    groups = rate_groups(backbone, [(training["vision_rate"], backbone.sight()), (POSITION_RATE, backbone.position_biases())], rate)
    name = f"{index + 1}-{knobs['layers']}-layers"
    return Stage(name, backbone.model, groups, knobs["steps"], loss, knobs["final"], training["checkpoint_every"])


def rate_groups(backbone: Backbone, special: Sequence[tuple[float, list[nn.Parameter]]], rate: float) -> list[dict[str, Any]]:
    """All weights in an optimiser's groups: `special` ones, (factor, weights), at that many times `rate`, the others at `rate`."""
    named = {id(weight) for _, weights in special for weight in weights}
    others = [weight for weight in backbone.model.parameters() if id(weight) not in named]
    groups = [{"params": weights, "lr": rate * factor} for factor, weights in special if weights]
    return [*groups, {"params": others, "lr": rate}]


def sentence_loss(backbone: Backbone, batch: Batch, *, precision: str) -> Tensor:
    """Cross-entropy of the references' tokens; the head runs on these positions only."""
    with torch.autocast(backbone.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        hidden = backbone.hidden(batch)
        labels = backbone.labels(batch, hidden.shape[1])
        spoken = labels != UNLABELLED
        logits = backbone.logits(hidden[spoken])
    return F.cross_entropy(logits.float(), labels[spoken])


def lessons(examples: list[Example], family: str) -> list[Example]:
    """What is learned from the examples: of a dialogue, every round.

    A decoder that reads the prompt learns the answers that stand in it as well. Where an encoder reads it only the last is learned, so
    each round before becomes an example of its own.
    """
    if issubclass(FAMILIES[family], DecoderOnly):
        return examples
    return [lesson for example in examples for lesson in rounds_of(example)]


def rounds_of(example: Example) -> list[Example]:
    """A dialogue's example as one a round, from the first to its own; any other example as it is."""
    if not example.dialogue:
        return [example]
    history = example.dialogue.history
    before = [
        replace(
            example,
            id=f"{example.id}-{number}",
            prompt=asked,
            references=(said,),
            dialogue=replace(example.dialogue, history=history[:number]),
        )
        for number, (asked, said) in enumerate(history)
    ]
    return [*before, example]


def tokenizer_texts(examples: list[Example], family: str) -> list[str]:
    """References, as they follow a prompt, and prompts, each as often as it is asked."""
    some = examples[:: max(1, len(examples) // TOKENIZER_EXAMPLES)]
    return [text for example in some for text in (prompt_text(family, example), *(f" {text}" for text in example.references))]


def save(backbone: Backbone, output: Path) -> None:
    """The checkpoint in transformers' own format, written beside the training's own and moved from there; the weights last, so that a
    folder with weights is complete."""
    beside = output / ".checkpoint" / "model"
    with writing(output):
        backbone.processor.save_pretrained(beside)
        backbone.model.eval().save_pretrained(beside)
        for file in sorted(beside.iterdir(), key=lambda file: file.suffix == ".safetensors"):
            take_place(file, output / file.name)
