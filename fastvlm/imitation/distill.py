"""Distil an imitation network from a frozen backbone (FastVLM, arXiv 2510.22641: cosine similarity and distillation)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastvlm.decoding.drafters import check_exit_layer
from fastvlm.imitation import EVALUATION_BATCH
from fastvlm.imitation.losses import cosine_loss, distillation_loss, token_loss
from fastvlm.imitation.network import TransformerNetwork, build_network
from fastvlm.imitation.states import States, StatesBatch, backbone_states, batches, groups
from fastvlm.imitation.store import fingerprint as backbone_fingerprint
from fastvlm.imitation.store import save_network
from fastvlm.imitation.texts import chosen_examples
from fastvlm.models.backbone import Backbone
from fastvlm.models.corpus import Corpus
from fastvlm.models.device import resolve_dtype
from fastvlm.models.load import load_backbone
from fastvlm.models.training import Stage, run_stage, write_curve
from fastvlm.models.training_state import TrainingState, fingerprint
from fastvlm.provenance import code_digest
from fastvlm.rows import read_rows


@dataclass(frozen=True)
class Lesson:
    """What one training needs: the texts' states, the head that the network's guesses pass through, and the knobs."""

    train: list[States]
    validation: list[States]
    head: Callable[[Tensor], Tensor]
    knobs: dict[str, Any]

    def arithmetic(self) -> torch.autocast:
        """The network's weights are float32; where the backbone's are of half precision, products are taken in bfloat16.

        Not in float16: gradients of a mean over many positions are too small for it.
        """
        half = resolve_dtype(self.knobs["dtype"]) in (torch.float16, torch.bfloat16)
        return torch.autocast(self.train[0].exit.device.type, torch.bfloat16, enabled=half)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.train) // self.knobs["batch"])


def distill(knobs: dict[str, Any], model: Path, manifests: list[Path], texts: Path | None, output: Path) -> None:
    """Train the network of one exit layer and save it with its card and `learning_curve.csv` to `output`; the best epoch on
    validation is kept.

    `texts` holds the backbone's own texts; without it the first reference of each example is used. Killed and started
    again, it goes on from its last epoch. Raises `UserError` for an exit layer outside the decoder.
    """
    torch.manual_seed(knobs["seed"])
    torch.set_num_threads(knobs["threads"])
    backbone = load_backbone(model, knobs)
    check_exit_layer(knobs["exit_layer"], len(backbone.layers))
    lesson = prepare_lesson(knobs, backbone, manifests, texts)
    network = build_network(knobs["network"], backbone.language.config, layers=knobs["layers"]).to(backbone.device)
    if isinstance(network, TransformerNetwork):
        network.start_from(backbone)
    inputs = [*manifests, *([texts] if texts else [])]
    task = fingerprint({**knobs, "backbone": backbone_fingerprint(model)}, inputs, code_digest("fastvlm.imitation.distill"))
    state = TrainingState.find(output / ".checkpoint" / "state.pt", task)
    run_stage(distillation_stage(lesson, network, state), state)
    network.load_state_dict(state.best)
    write_curve(output / "learning_curve.csv", state.curve)
    save_network(output, network, make_card(knobs, backbone_fingerprint(model), network, state))
    state.clear()


def prepare_lesson(knobs: dict[str, Any], backbone: Backbone, manifests: list[Path], texts: Path | None) -> Lesson:
    """The backbone's states on the chosen texts of both splits."""
    spoken = {row["id"]: row["tokens"] for row in read_rows(texts)} if texts else {}
    splits = []
    for split in ("train", "validation"):
        examples = [example for manifest in manifests for example in chosen_examples(manifest, split, knobs["examples"])]
        corpus = Corpus(examples, backbone.processor, backbone.family)
        answers = [spoken[example.id] if texts else answer[0] for example, answer in zip(corpus.examples, corpus.answers, strict=True)]
        splits.append(backbone_states(backbone, corpus, answers, exit_layer=knobs["exit_layer"], batch=EVALUATION_BATCH))
    return Lesson(*splits, head=frozen_head(backbone), knobs=knobs)


def frozen_head(backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """The backbone's final norm and LM head: [..., hidden] -> [..., vocabulary]. They go on in float32 where they were float16,
    for the sake of the gradients that pass through them."""
    norm, head = backbone.norm, backbone.model.get_output_embeddings()
    if norm.weight.dtype == torch.float16:
        norm.float(), head.float()
    return lambda hidden: backbone.logits(norm(hidden.to(norm.weight.dtype)))


def distillation_stage(lesson: Lesson, network: nn.Module, state: TrainingState) -> Stage:
    """Epochs over the training texts; after each, agreement on validation is noted and the best weights are kept."""
    knobs, epoch = lesson.knobs, lesson.steps_per_epoch
    # Indices only: batches are padded when their turn comes, so that the states are in memory once.
    groups_of = lru_cache(maxsize=1)(partial(epoch_groups, lesson))

    def loss(step: int) -> Tensor:
        group = groups_of(step // epoch)[step % epoch]
        return imitation_loss(network, StatesBatch([lesson.train[index] for index in group]), lesson)

    def evaluate() -> None:
        agreement = validation_agreement(network, lesson)
        if agreement > max((entry["agreement"] for entry in state.evaluations), default=-1.0):
            state.keep(network)
        state.evaluations.append({"epoch": len(state.evaluations) + 1, "agreement": round(agreement, 6)})

    groups = [{"params": list(network.parameters()), "lr": knobs["learning_rate"]}]
    name = f"{knobs['network']} at layer {knobs['exit_layer']}"
    return Stage(name, network, groups, knobs["epochs"] * epoch, loss, 0.02, epoch, evaluate)


def epoch_groups(lesson: Lesson, epoch: int) -> list[np.ndarray]:
    rng = np.random.default_rng((lesson.knobs["seed"], epoch))
    return groups(lesson.train, lesson.knobs["batch"], rng)


def imitation_loss(network: nn.Module, batch: StatesBatch, lesson: Lesson) -> Tensor:
    """cosine_weight * cosine + kl_weight * KL + cross_entropy_weight * cross-entropy over the positions where the text is spoken."""
    knobs = lesson.knobs
    teacher = lesson.head(batch.last)
    with lesson.arithmetic():
        guessed = batch.through(network)
        student = lesson.head(guessed).float()
    parts = {
        "cosine_weight": lambda: cosine_loss(guessed.float(), batch.last.float()),
        "kl_weight": lambda: distillation_loss(student, teacher.float(), knobs["temperature"]),
        "cross_entropy_weight": lambda: token_loss(student, batch.tokens),
    }
    return sum(knobs[weight] * part() for weight, part in parts.items() if knobs[weight])


@torch.inference_mode()
def validation_agreement(network: nn.Module, lesson: Lesson) -> float:
    """Share of validation positions where network and full model choose the same token."""
    same = positions = 0
    for batch in batches(lesson.validation, EVALUATION_BATCH):
        with lesson.arithmetic():
            student = lesson.head(batch.through(network)).argmax(-1)
        same += int((student == lesson.head(batch.last).argmax(-1)).sum())
        positions += len(student)
    return same / positions


def make_card(knobs: dict[str, Any], backbone: str, network: nn.Module, state: TrainingState) -> dict[str, Any]:
    """What the network is and how well it imitates."""
    weights = list(network.parameters())
    return {
        **{name: knobs[name] for name in sorted(knobs) if name != "device"},
        "backbone": backbone,
        "parameters": sum(weight.numel() for weight in weights),
        "bytes": sum(weight.numel() * weight.element_size() for weight in weights),
        "epochs_run": state.evaluations,
        "agreement": max(entry["agreement"] for entry in state.evaluations),
    }
