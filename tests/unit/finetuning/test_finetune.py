"""Fine-tuning a backbone of a few thousand weights: exits learn, adapters merge, a kill changes nothing, the text stays lossless."""

from __future__ import annotations

import hashlib
from itertools import product

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from fastvlm.data.example import write_manifest
from fastvlm.decoding import autoregressive, speculative
from fastvlm.decoding.drafters import EarlyExit
from fastvlm.decoding.policies import Fixed
from fastvlm.errors import UserError
from fastvlm.finetuning import finetune as stage
from fastvlm.finetuning.finetune import finetune
from fastvlm.finetuning.lora import add_adapters, learning, merge_adapters
from fastvlm.imitation.states import watch
from fastvlm.models.corpus import Corpus
from fastvlm.models.load import load_backbone
from tests import tiny

TRAINING = {
    "steps": 60, "examples": 40, "batch": 8, "batch_tokens": 9999, "learning_rate": 6e-3, "final": 0.1, "precision": "float32",
    "threads": 1, "checkpoint_every": 20, "lora": None,
}  # fmt: skip
SHARED = {"name": "tiny", "seed": 1, "device": "cpu", "dtype": "float32", "training": TRAINING}
JOINT = SHARED | {"method": "ssd-joint", "exit_layers": [1, 2], "exit_weight": 1.0}
SKIP = SHARED | {"method": "layerskip", "dropout": 0.2, "exit_scale": 1.0, "curriculum": "rotational", "rotation": 2}
CPU = {"device": "cpu", "dtype": "float32"}
LORA = {"rank": 4, "alpha": 8.0}


def few(knobs, **training):
    return knobs | {"training": TRAINING | training}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes-caption.jsonl"
    write_manifest(path, [*tiny.examples(40, "train"), *tiny.examples(8, "test")])
    return path


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def folder(request, tmp_path_factory):
    return tiny.save_checkpoint(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(autouse=True)
def gradients(no_gradients):
    with torch.enable_grad():
        yield


@torch.no_grad()
def measure(folder, exit_layer):
    """On test pictures' references: cross-entropy at an exit, and the share of positions where it chooses what the last layer does."""
    backbone = load_backbone(folder, CPU)
    corpus = Corpus(tiny.examples(8), backbone.processor, backbone.family)
    batch = corpus.collate(range(8), [answers[0] for answers in corpus.answers])
    with watch({"exit": backbone.layers[exit_layer - 1]}) as states:
        hidden = backbone.hidden(batch)
    labels = backbone.labels(batch, hidden.shape[1])
    spoken = labels >= 0
    at_exit, at_end = (backbone.logits(normed[spoken]) for normed in (backbone.norm(states["exit"]), hidden))
    loss = torch.nn.functional.cross_entropy(at_exit, labels[spoken])
    return loss.item(), (at_exit.argmax(-1) == at_end.argmax(-1)).float().mean().item()


def digest(folder):
    """Of every file but the learning curve, which holds seconds."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*") if path.suffix != ".csv"}


@pytest.mark.parametrize("knobs", [JOINT, SKIP], ids=lambda knobs: knobs["method"])
def test_exits_learn_and_the_original_stays(tmp_path, folder, manifest, knobs):
    original = digest(folder)
    finetune(knobs, folder, [manifest], tmp_path / "tuned")
    assert digest(folder) == original
    before, after = measure(folder, 2), measure(tmp_path / "tuned", 2)
    assert after[0] < before[0] - 0.3
    assert after[1] > before[1] + 0.1
    curve = pd.read_csv(tmp_path / "tuned" / "learning_curve.csv")
    assert list(curve.columns) == ["stage", "step", "seconds", "loss", "learning_rate", "model"]
    assert (len(curve), set(curve["stage"])) == (60, {knobs["method"]})
    assert not (tmp_path / "tuned" / ".checkpoint").exists()


@pytest.mark.parametrize(
    "knobs", [few(JOINT, steps=7, checkpoint_every=3), few(SKIP, steps=7, checkpoint_every=3, lora=LORA)], ids=["all", "lora"]
)
def test_a_kill_changes_nothing(tmp_path, folder, manifest, monkeypatch, knobs):
    finetune(knobs, folder, [manifest], tmp_path / "whole")
    real, calls = stage.weighted_loss, []

    def dies(*args, **kwargs):
        calls.append(1)
        if len(calls) == 5:  # after the checkpoint at the third
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(stage, "weighted_loss", dies)
    with pytest.raises(KeyboardInterrupt):
        finetune(knobs, folder, [manifest], tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    calls[:] = [0] * 20
    finetune(knobs, folder, [manifest], tmp_path / "killed")
    assert len(calls) == 20 + 4
    assert digest(tmp_path / "whole") == digest(tmp_path / "killed")


def test_merged_adapters_say_what_they_said_beside_the_weights(tmp_path, folder, manifest):
    backbone = load_backbone(folder, CPU)
    corpus = Corpus(tiny.examples(8), backbone.processor, backbone.family)
    batch = corpus.collate(range(8), [answers[0] for answers in corpus.answers])
    plain = backbone.logits(backbone.hidden(batch))
    torch.manual_seed(0)
    add_adapters(backbone, LORA)
    assert torch.equal(backbone.logits(backbone.hidden(batch)), plain)
    learned = learning(backbone)
    linear = sum(isinstance(module, torch.nn.Linear) for module in tiny.load(folder).backbone.layers.modules())
    assert len(learned) == 2 * linear
    with torch.no_grad():
        for weight in learned:
            weight.normal_(std=0.1)
        beside = backbone.logits(backbone.hidden(batch))
        assert not torch.allclose(beside, plain, atol=1e-2)
    merged = load_backbone(folder, CPU)
    merge_adapters(merged, LORA, learned)
    torch.testing.assert_close(merged.logits(merged.hidden(batch)), beside, atol=1e-5, rtol=1e-5)
    stage.save(merged, tmp_path)
    again = load_backbone(tmp_path, CPU)
    torch.testing.assert_close(again.logits(again.hidden(batch)), beside, atol=1e-5, rtol=1e-5)
    assert again.end_tokens == load_backbone(folder, CPU).end_tokens


def test_adapters_leave_all_but_the_decoders_layers_alone(tmp_path, folder, manifest):
    finetune(few(JOINT, steps=4, lora=LORA), folder, [manifest], tmp_path)
    before, after = (load_backbone(path, CPU) for path in (folder, tmp_path))
    inside = {id(module.weight) for module in before.layers.modules() if isinstance(module, torch.nn.Linear)}
    for (name, old), new in zip(before.model.named_parameters(), after.model.parameters(), strict=True):
        assert torch.equal(old, new) == (id(old) not in inside), name


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_adapters_of_weights_in_half_precision_learn_and_merge_into_them(tmp_path, checkpoint, manifest, dtype):
    finetune(few(SKIP, steps=40, lora=LORA) | {"dtype": dtype}, checkpoint, [manifest], tmp_path)
    losses = pd.read_csv(tmp_path / "learning_curve.csv")["loss"]
    assert losses[-5:].mean() < losses[:5].mean() - 0.1
    stored = load_file(tmp_path / "model.safetensors")
    assert {str(tensor.dtype) for name, tensor in stored.items() if "layers" in name} == {f"torch.{dtype}"}


def test_sight_stays_as_it_is(tmp_path, folder, manifest):
    finetune(few(JOINT, steps=4), folder, [manifest], tmp_path)
    before, after = (load_backbone(path, CPU) for path in (folder, tmp_path))
    assert all(map(torch.equal, before.sight(), after.sight()))
    assert not torch.equal(before.layers[0].state_dict().popitem()[1], after.layers[0].state_dict().popitem()[1])


def test_drafts_of_a_fine_tuned_backbone_are_lossless_with_respect_to_it(tmp_path, folder, manifest):
    finetune(few(JOINT, steps=20), folder, [manifest], tmp_path)
    target = tiny.load(tmp_path)
    for example, exit_layer in product(tiny.examples(3), (1, 2, 4)):
        with torch.no_grad():
            prefix = target.prefill(target.prepare(example), 24, {exit_layer})
            ends = {"limit": 24, "end_tokens": target.end_tokens}
            expected = autoregressive.decode(target.decoder, prefix, **ends).tokens
            assert speculative.decode(target.decoder, EarlyExit(exit_layer), prefix, policy=Fixed(4), **ends).tokens == expected


def test_what_cannot_be_learned_is_one_line(tmp_path, folder, manifest):
    with pytest.raises(UserError, match="exit layer 5: outside the decoder; expected 1 to 4"):
        finetune(JOINT | {"exit_layers": [1, 5]}, folder, [manifest], tmp_path)
    empty = tmp_path / "none.jsonl"
    write_manifest(empty, tiny.examples(3, "test"))
    with pytest.raises(UserError, match="no train example"):
        finetune(JOINT, folder, [empty], tmp_path)
