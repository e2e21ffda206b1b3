"""Train a small LLaVA from nothing: words first, then sentences from short to long, then depth."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedModel

from fastvlm.data.example import Example, read_manifest
from fastvlm.data.prompts import LLAVA_TEMPLATE
from fastvlm.models.corpus import Corpus
from fastvlm.models.device import resolve_device
from fastvlm.models.training import Stage, run_stage
from fastvlm.models.training_state import TrainingState, fingerprint
from fastvlm.models.words import WordNaming, word_loss
from fastvlm.models.zoo import build_model, build_processor, grow
from fastvlm.provenance import code_digest
from fastvlm.rows import whole_file

TOKENIZER_EXAMPLES = 4000


def pretrain(knobs: dict[str, Any], manifests: list[Path], output: Path) -> None:
    """Train on the manifests' train splits and save a transformers checkpoint with `learning_curve.csv` to `output`.

    Killed and started again with the same knobs and data, it goes on from its last checkpoint.
    """
    torch.manual_seed(knobs["seed"])
    examples = [example for manifest in manifests for example in read_manifest(manifest, "train")]
    processor = build_processor(knobs, tokenizer_texts(examples))
    corpus = Corpus(examples, processor)
    task = fingerprint(knobs, manifests, code_digest("fastvlm.models.pretrain"))
    state = TrainingState.find(output / ".checkpoint" / "state.pt", task)
    model = train(knobs, corpus, state)
    save(model, processor, output)
    with whole_file(output / "learning_curve.csv") as path:
        pd.DataFrame(state.curve).assign(model=knobs["name"]).to_csv(path, index=False)
    state.clear()


def train(knobs: dict[str, Any], corpus: Corpus, state: TrainingState) -> LlavaForConditionalGeneration:
    """All stages from the one where the state stands."""
    training, device = knobs["training"], resolve_device(knobs["device"])
    model = build_model(knobs, corpus.vocabulary, training["stages"][0]["layers"]).to(device)
    for index in range(len(training["stages"]) + 1):
        if index > 0:
            model = grow(model, knobs, training["stages"][index - 1]["layers"]).to(device)
        if index == state.stage:
            make = word_stage if index == 0 else partial(sentence_stage, index=index - 1)
            run_stage(make(training, model, corpus, knobs["seed"]), state)
    return model


def word_stage(training: dict[str, Any], model: LlavaForConditionalGeneration, corpus: Corpus, seed: int) -> Stage:
    """The vision tower learns to name; see `words`."""
    naming, batch = WordNaming(model), 2 * training["batch"]

    def loss(step: int) -> Tensor:
        return word_loss(naming, corpus, corpus.rows(step, batch, 1.0, seed))

    groups = [{"params": list(naming.parameters()), "lr": training["word_rate"]}]
    return Stage("words", naming, groups, training["word_steps"], loss, 0.05, training["checkpoint_every"])


def sentence_stage(training: dict[str, Any], model: LlavaForConditionalGeneration, corpus: Corpus, seed: int, *, index: int) -> Stage:
    """Next-token prediction on the share of the corpus with the shortest texts; vision learns at a lower rate."""
    knobs = training["stages"][index]

    def loss(step: int) -> Tensor:
        return sentence_loss(model, corpus, step, training=training, share=knobs["share"], seed=seed + 1 + index)

    sight = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
    seen = set(map(id, sight))
    speech = [weight for weight in model.parameters() if id(weight) not in seen]
    rate = knobs["learning_rate"]
    groups = [{"params": sight, "lr": rate * training["vision_rate"]}, {"params": speech, "lr": rate}]
    name = f"{index + 1}-{knobs['layers']}-layers"
    return Stage(name, model, groups, knobs["steps"], loss, knobs["final"], training["checkpoint_every"])


def sentence_loss(model: PreTrainedModel, corpus: Corpus, step: int, *, training: dict[str, Any], share: float, seed: int) -> Tensor:
    """Cross-entropy of the references' tokens; the head runs on these positions only."""
    batch = corpus.batch(step, training["batch"], share, seed).to(model.device)
    speaks = batch.labels[:, 1:] >= 0
    with torch.autocast(model.device.type, torch.bfloat16, enabled=training["precision"] == "bfloat16"):
        hidden = model.model(input_ids=batch.input_ids, pixel_values=batch.pixel_values).last_hidden_state
        logits = model.lm_head(hidden[:, :-1][speaks])
    return F.cross_entropy(logits.float(), batch.labels[:, 1:][speaks])


def tokenizer_texts(examples: list[Example]) -> list[str]:
    """References, as they follow a prompt, and prompts."""
    some = examples[:: max(1, len(examples) // TOKENIZER_EXAMPLES)]
    texts = [f" {text}" for example in some for text in example.references]
    return texts + sorted({LLAVA_TEMPLATE.format(prompt=example.prompt) for example in examples})


def save(model: LlavaForConditionalGeneration, processor, output: Path) -> None:
    """The checkpoint in transformers' own format; the weights last, so that a folder with weights is complete."""
    output.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(output)
    model.eval().save_pretrained(output)
