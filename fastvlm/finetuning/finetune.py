"""The finetune stage: a backbone whose early exits have learned to speak, as a checkpoint of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastvlm.decoding.drafters import check_exit_layer
from fastvlm.errors import UserError
from fastvlm.finetuning.lora import add_adapters, learning, merge_adapters
from fastvlm.finetuning.losses import weighted_loss
from fastvlm.finetuning.recipes import draw_kept, dropout_rates, loss_weights, skipping
from fastvlm.imitation.store import fingerprint as backbone_fingerprint
from fastvlm.imitation.texts import chosen_examples
from fastvlm.models.backbone import Backbone
from fastvlm.models.corpus import Corpus
from fastvlm.models.device import resolve_device, resolve_dtype, resolve_precision
from fastvlm.models.load import load_backbone
from fastvlm.models.pretrain import lessons, save
from fastvlm.models.training import Stage, run_stage, write_curve
from fastvlm.models.training_state import TrainingState, fingerprint
from fastvlm.provenance import code_digest


def finetune(knobs: dict[str, Any], model: Path, manifests: list[Path], output: Path) -> None:
    """Fine-tune the checkpoint `model` on the manifests' train splits and save it with `learning_curve.csv` to `output`.

    With the knob `lora` adapters learn, and are merged into the weights; without, all weights of the language model learn, and `dtype`
    is to be float32. What comes before the language model stays as it is. Killed and started again with the same knobs and data, it
    goes on from its last checkpoint. Raises `UserError` for an exit layer outside the decoder, and where there is nothing to learn from.
    """
    training = knobs["training"]
    torch.manual_seed(knobs["seed"])
    torch.set_num_threads(training["threads"])
    backbone = load_backbone(model, knobs | {"dtype": "bfloat16" if _is_half(knobs) else knobs["dtype"]})
    for exit_layer in knobs.get("exit_layers", ()):
        check_exit_layer(exit_layer, len(backbone.layers))
    corpus = _corpus(backbone, manifests, training["examples"])
    told = knobs | {"precision": _precision(knobs), "backbone": backbone_fingerprint(model)}
    task = fingerprint(told, manifests, code_digest("fastvlm.finetuning.finetune"))
    state = TrainingState.find(output / ".checkpoint" / "state.pt", task)
    if training["lora"]:
        add_adapters(backbone, training["lora"])
    else:
        _let_language_learn(backbone)
    learned = learning(backbone)
    run_stage(finetuning_stage(told, backbone, learned, corpus), state)
    if training["lora"]:
        # Into the weights as they are published, whatever they were while adapters learned beside them.
        backbone = load_backbone(model, knobs)
        merge_adapters(backbone, training["lora"], learned)
    save(backbone, output)
    write_curve(output / "learning_curve.csv", [step | {"model": knobs["name"]} for step in state.curve])
    state.clear()


def _corpus(backbone: Backbone, manifests: list[Path], most: int) -> Corpus:
    examples = [example for manifest in manifests for example in chosen_examples(manifest, "train", most)]
    if not examples:
        raise UserError(f"{', '.join(map(str, manifests))}: no train example; expected some in at least one dataset")
    return Corpus(lessons(examples, backbone.family), backbone.processor, backbone.family)


def _is_half(knobs: dict[str, Any]) -> bool:
    """Then all is bfloat16 while it learns: gradients of a mean over many positions are too small for float16."""
    return resolve_dtype(knobs["dtype"]) in (torch.float16, torch.bfloat16)


def _precision(knobs: dict[str, Any]) -> str:
    return "bfloat16" if _is_half(knobs) else resolve_precision(knobs["training"]["precision"], resolve_device(knobs["device"]))


def _let_language_learn(backbone: Backbone) -> None:
    """All weights of the language model."""
    sight = set(map(id, backbone.sight()))
    for weight in backbone.model.parameters():
        weight.requires_grad_(id(weight) not in sight)


def finetuning_stage(knobs: dict[str, Any], backbone: Backbone, learned: list[nn.Parameter], corpus: Corpus) -> Stage:
    """One stage on the whole corpus. The model stays in evaluation mode: what is random in a step follows from the step alone."""
    training, layers = knobs["training"], len(backbone.layers)
    members, rates = corpus.of_tasks(None, 1.0), dropout_rates(knobs, layers)

    def loss(step: int) -> Tensor:
        batch = corpus.batch(step, training["batch"], members, knobs["seed"], most_tokens=training["batch_tokens"])
        kept = draw_kept(rates, len(batch.answers), np.random.default_rng((knobs["seed"], step, 2)))
        with skipping(backbone.layers, kept):
            return weighted_loss(backbone, batch, loss_weights(knobs, layers, step), precision=knobs["precision"])

    groups = [{"params": learned, "lr": training["learning_rate"]}]
    module, every = nn.ParameterList(learned), training["checkpoint_every"]
    # AdamW, as those who fine-tune adapters and LayerSkip's authors use it.
    return Stage(knobs["method"], module, groups, training["steps"], loss, training["final"], every, orthogonal=False)
