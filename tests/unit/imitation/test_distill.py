"""Distillation on a tiny backbone: it learns, leaves the backbone alone, resumes, and refuses what does not fit."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from fastvlm.data.example import write_manifest
from fastvlm.errors import UserError
from fastvlm.imitation import distill as stage
from fastvlm.imitation.distill import distill
from fastvlm.imitation.losses import token_loss
from fastvlm.imitation.network import build_network
from fastvlm.imitation.states import StatesBatch
from fastvlm.imitation.store import load_drafter
from fastvlm.imitation.texts import generate_texts
from fastvlm.models.checkpoint import family_of
from fastvlm.models.load import load_backbone
from tests import tiny

KNOBS = {
    "seed": 1, "device": "cpu", "dtype": "float32", "text": "generated", "examples": 24, "generation_batch": 8,
    "max_new_tokens": [10], "threads": 1,
    "network": "transformer", "layers": 1, "exit_layer": 2, "epochs": 3, "batch": 8,
    "learning_rate": 1e-2, "cosine_weight": 1.0, "kl_weight": 1.0, "cross_entropy_weight": 0.0, "temperature": 1.0,
}  # fmt: skip
EPOCHS = {"mlp": 20, "transformer": 8}  # the one starts as a bare early exit, the other as the last layer


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def checkpoint(request, tmp_path_factory):
    return tiny.save_checkpoint(tmp_path_factory.mktemp("checkpoint"), request.param)


@pytest.fixture(scope="module")
def task(tmp_path_factory, checkpoint):
    """(manifest, generated texts)."""
    folder = tmp_path_factory.mktemp("task")
    manifest, texts = folder / "scenes-caption.jsonl", folder / "texts.jsonl"
    write_manifest(manifest, [*tiny.examples(30, "train"), *tiny.examples(6, "validation")])
    generate_texts(KNOBS, checkpoint, [manifest], texts)
    return manifest, texts


@pytest.fixture(autouse=True)
def gradients(no_gradients):
    with torch.enable_grad():
        yield


def run(output, checkpoint, task, **knobs):
    manifest, texts = task
    distill({**KNOBS, **knobs}, checkpoint, [manifest], texts if knobs.get("text") != "references" else None, output)
    return json.loads((output / "card.json").read_text()), (output / "network.safetensors").read_bytes()


def test_texts_are_what_the_backbone_says_of_chosen_images(task, checkpoint):
    rows = [json.loads(line) for line in task[1].read_text().splitlines()]
    assert [row["split"] for row in rows] == ["train"] * 24 + ["validation"] * 6
    from fastvlm.decoding import autoregressive

    single = tiny.load(checkpoint, torch.float32)
    example = tiny.examples(30, "train")[0]
    with torch.no_grad():
        prefix = single.prefill(single.prepare(example), 10)
        expected = autoregressive.decode(single.decoder, prefix, limit=10, end_tokens=single.end_tokens).tokens
    assert rows[0] == {"id": example.id, "split": "train", "tokens": expected}


@pytest.mark.parametrize("network", ["mlp", "transformer"])
@pytest.mark.parametrize("text", ["generated", "references"])
def test_learns_and_leaves_the_backbone_alone(tmp_path, checkpoint, task, network, text):
    before = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoint.iterdir()}
    card, _ = run(tmp_path, checkpoint, task, network=network, text=text, epochs=EPOCHS[network])
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoint.iterdir()} == before
    agreements = [entry["agreement"] for entry in card["epochs_run"]]
    assert len(agreements) == EPOCHS[network] and card["agreement"] == max(agreements)
    assert agreements[-1] > 0.1  # chance is 1 in 300
    curve = list(csv.DictReader((tmp_path / "learning_curve.csv").open()))
    assert [int(row["step"]) for row in curve] == list(range(EPOCHS[network] * 3)) and all(float(row["seconds"]) >= 0 for row in curve)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "card.json",
        "learning_curve.csv",
        "network.safetensors",
    ]


def test_the_loss_is_the_weighted_sum_of_its_parts(checkpoint, task):
    backbone = load_backbone(checkpoint, KNOBS)
    lesson = stage.prepare_lesson(KNOBS, backbone, [task[0]], task[1])
    network = build_network("mlp", backbone.language.config)
    batch = StatesBatch(lesson.train)

    def loss(*weights):
        names = ("cosine_weight", "kl_weight", "cross_entropy_weight")
        return stage.imitation_loss(network, batch, replace(lesson, knobs=KNOBS | dict(zip(names, weights, strict=True))))

    torch.testing.assert_close(loss(0.5, 2, 3), 0.5 * loss(1, 0, 0) + 2 * loss(0, 1, 0) + 3 * loss(0, 0, 1))
    assert loss(0, 0, 1) == token_loss(lesson.head(batch.through(network)), batch.tokens)


def test_a_text_is_learned_at_the_positions_that_predict_it(checkpoint, task):
    backbone = load_backbone(checkpoint, KNOBS)
    manifest, texts = task
    lesson = stage.prepare_lesson(KNOBS, backbone, [manifest], texts)
    batch = StatesBatch(lesson.train)
    # Generated text is what the full model finds likeliest there.
    assert torch.equal(lesson.head(batch.last).argmax(-1), batch.tokens)


def test_backbone_gets_no_gradient_in_memory(tmp_path, checkpoint, task, monkeypatch):
    seen = []
    real = stage.prepare_lesson

    def spy(knobs, backbone, *rest):
        seen.append((backbone.model, {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}))
        return real(knobs, backbone, *rest)

    monkeypatch.setattr(stage, "prepare_lesson", spy)
    run(tmp_path, checkpoint, task, epochs=1)
    backbone, before = seen[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_killed_and_started_again_gives_the_same_bytes(tmp_path, checkpoint, task, monkeypatch):
    _, expected = run(tmp_path / "whole", checkpoint, task)
    real, calls = stage.imitation_loss, []

    def dies(*args):
        calls.append(1)
        if len(calls) == 5:  # in the second epoch
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(stage, "imitation_loss", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", checkpoint, task)
    assert not (tmp_path / "killed" / "network.safetensors").exists()
    _, found = run(tmp_path / "killed", checkpoint, task)
    assert found == expected
    assert len(calls) == 5 + 6  # went on after the first epoch, three steps each


@pytest.fixture(params=["bfloat16", "float16"])
def half(request, checkpoint):
    """A dtype of half precision in which the backbone can compute."""
    if request.param == "float16" and family_of(checkpoint) == "blip2-t5":
        pytest.skip("T5 is refused in float16")
    return request.param


@pytest.mark.parametrize("network", ["mlp", "transformer"])
def test_half_precision_learns_and_drafts_in_its_own_dtype_only(tmp_path, checkpoint, task, half, network):
    card, weights = run(tmp_path, checkpoint, task, network=network, dtype=half, epochs=EPOCHS[network])
    assert card["dtype"] == half and card["agreement"] > 0.1
    assert {tensor.dtype for tensor in load(weights).values()} == {torch.float32}  # what was trained, not what it is rounded to
    drafter = load_drafter(tmp_path, tiny.load(checkpoint, getattr(torch, half)), checkpoint)
    built = drafter.network.layers[0].attention.qkv.weight if network == "transformer" else drafter.network.layers[0].down.weight
    assert built.dtype == getattr(torch, half)
    with pytest.raises(UserError, match=f"distilled for dtype {half}; expected the decoder's, float32; run that stage again"):
        load_drafter(tmp_path, tiny.load(checkpoint, torch.float32), checkpoint)


def test_the_states_stay_in_half_precision_and_no_gradient_vanishes(checkpoint, task, half):
    """Gradients a million times as small as these are as good: those of a large vocabulary and batch are no larger."""
    knobs = {**KNOBS, "dtype": half, "cosine_weight": 0}
    backbone = load_backbone(checkpoint, knobs)
    manifest, texts = task
    lesson = stage.prepare_lesson(knobs, backbone, [manifest], texts)
    assert {state.exit.dtype for state in lesson.train} == {getattr(torch, half)}
    network = build_network("transformer", backbone.language.config)
    network.start_from(backbone)
    batch = StatesBatch([lesson.train[index] for index in stage.epoch_groups(lesson, 0)[0]])
    norms = [gradient_norm(network, batch, replace(lesson, knobs={**knobs, "kl_weight": weight})) for weight in (1, 1e-6)]
    assert norms[0] > 0 and norms[1] == pytest.approx(1e-6 * norms[0], rel=0.02)


def gradient_norm(network, batch, lesson):
    network.zero_grad()
    stage.imitation_loss(network, batch, lesson).backward()
    return float(sum(weight.grad.square().sum() for weight in network.parameters()) ** 0.5)


def test_an_exit_layer_outside_the_decoder_is_refused(tmp_path, checkpoint, task):
    with pytest.raises(UserError, match="exit layer 5"):
        run(tmp_path, checkpoint, task, exit_layer=5)


@pytest.mark.parametrize("network", ["mlp", "transformer"])
def test_two_layers_are_two(tmp_path, checkpoint, task, network):
    one, two = (run(tmp_path / str(layers), checkpoint, task, network=network, layers=layers, epochs=1)[0] for layers in (1, 2))
    # Of T5's blocks, the first alone has a position bias.
    bias = 32 * 4 if network == "transformer" and family_of(checkpoint) == "blip2-t5" else 0
    assert two["parameters"] + bias == 2 * one["parameters"]
    load_drafter(tmp_path / "2", tiny.load(checkpoint, torch.float32), checkpoint)


def test_a_network_of_more_layers_than_the_decoder_is_refused(tmp_path, checkpoint, task):
    with pytest.raises(UserError, match="imitation network: found 6 layers, expected 1 to 5"):
        run(tmp_path, checkpoint, task, layers=6)
