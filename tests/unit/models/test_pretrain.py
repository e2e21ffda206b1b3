"""Training a model of a few thousand weights: whole checkpoint, resumption, growth, the first lesson."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest
import torch

from fastvlm.data.example import write_manifest
from fastvlm.models import pretrain as stage
from fastvlm.models.corpus import IGNORED, Corpus
from fastvlm.models.pretrain import pretrain
from fastvlm.models.training import schedule
from fastvlm.models.words import WordNaming
from fastvlm.models.zoo import build_model, build_processor, grow
from tests import tiny

TRAINING = {
    "precision": "float32", "batch": 8, "word_steps": 4, "word_rate": 2e-3, "vision_rate": 0.3, "checkpoint_every": 3,
    "stages": [
        {"layers": 2, "share": 0.5, "steps": 4, "learning_rate": 1e-3, "final": 0.5},
        {"layers": 4, "share": 1.0, "steps": 5, "learning_rate": 1e-3, "final": 0.1},
    ],
}  # fmt: skip
KNOBS = {**tiny.KNOBS, "name": "tiny", "device": "cpu", "seed": 1, "vocabulary": 300, "layers": 4, "training": TRAINING}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes-caption.jsonl"
    write_manifest(path, tiny.examples(40, "train"))
    return path


@pytest.fixture(scope="module")
def corpus():
    examples = tiny.examples(40, "train")
    return Corpus(examples, build_processor(KNOBS, [text for example in examples for text in example.references]))


@pytest.fixture(autouse=True)
def gradients(no_gradients):
    with torch.enable_grad():
        yield


def digest(folder):
    """Of every file but the learning curve, which holds seconds."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*") if path.suffix != ".csv"}


def test_two_trainings_and_an_interrupted_one_give_the_same_bytes(tmp_path, manifest, monkeypatch):
    for name in ("first", "second"):
        pretrain(KNOBS, [manifest], tmp_path / name)
    real, calls = stage.sentence_loss, []

    def dies(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4 + 5:  # the fifth step of the deep stage, after its checkpoint at the third
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(stage, "sentence_loss", dies)
    with pytest.raises(KeyboardInterrupt):
        pretrain(KNOBS, [manifest], tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    calls[:] = [0] * 20
    pretrain(KNOBS, [manifest], tmp_path / "killed")
    assert len(calls) == 20 + 2
    assert digest(tmp_path / "first") == digest(tmp_path / "second") == digest(tmp_path / "killed")
    curve = pd.read_csv(tmp_path / "killed" / "learning_curve.csv")
    assert list(curve.columns) == ["stage", "step", "seconds", "loss", "learning_rate", "model"]
    assert len(curve) == 4 + 4 + 5


def test_a_checkpoint_of_another_task_is_not_taken_up(tmp_path, manifest, monkeypatch):
    monkeypatch.setattr(stage, "save", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pretrain(KNOBS, [manifest], tmp_path)
    state = torch.load(tmp_path / ".checkpoint" / "state.pt", weights_only=True)
    from fastvlm.models.training_state import TrainingState

    path = tmp_path / ".checkpoint" / "state.pt"
    assert TrainingState.find(path, state["task"]).step == 5
    assert TrainingState.find(path, "another").step == 0


def test_growing_keeps_the_function_and_spreads_the_layers():
    torch.manual_seed(0)
    model = build_model(KNOBS, 300, 2).eval()
    ids = torch.randint(4, 300, (1, 12))
    expected = model(input_ids=ids).logits
    old = [layer.mlp.down_proj.weight.clone() for layer in model.model.language_model.layers]
    grown = grow(model, KNOBS, 6).eval()
    torch.testing.assert_close(grown(input_ids=ids).logits, expected)
    layers = grown.model.language_model.layers
    assert torch.equal(layers[0].mlp.down_proj.weight, old[0]) and torch.equal(layers[3].mlp.down_proj.weight, old[1])
    assert all(layers[index].mlp.down_proj.weight.abs().sum() == 0 for index in (1, 2, 4, 5))
    grown(input_ids=ids).logits.sum().backward()
    assert layers[1].mlp.down_proj.weight.grad.abs().sum() > 0  # the new layers can learn
    assert grown.lm_head.weight is grown.model.language_model.embed_tokens.weight


def test_batches_depend_on_the_step_alone_and_mask_the_prompt(corpus):
    one, again = corpus.batch(5, 4, 1.0, seed=3), corpus.batch(5, 4, 1.0, seed=3)
    assert torch.equal(one.input_ids, again.input_ids) and torch.equal(one.labels, again.labels)
    assert corpus.rows(5, 4, 1.0, 3) != corpus.rows(5, 4, 1.0, 4)
    prompt = len(corpus.prompt_ids(0))
    assert (one.labels[:, :prompt] == IGNORED).all()
    spoken = one.labels != IGNORED
    assert torch.equal(one.labels[spoken], one.input_ids[spoken])
    assert ((one.labels == 2).sum(1) == 1).all()  # every text is taught to end


def test_the_share_takes_the_shortest_texts(corpus):
    rows = {row for step in range(40) for row in corpus.rows(step, 4, 0.25, 1)}
    assert rows <= set(range(10)) and len(rows) > 5
    lengths = [sum(map(len, corpus.answers[row])) / 5 for row in range(len(corpus))]
    assert lengths == sorted(lengths)


def test_noisy_or_against_the_product(corpus):
    """P(word absent) is the product over patches of 1 - P(patch calls for it)."""
    torch.manual_seed(0)
    naming = WordNaming(build_model(KNOBS, 300, 2))
    pixels = corpus.pixels([0, 1])
    patches = naming.projector(naming.tower(pixels).last_hidden_state[:, 1:])
    directions = patches * patches.pow(2).mean(-1, keepdim=True).add(torch.finfo(torch.float32).eps).rsqrt()
    calls = torch.sigmoid(directions @ (8 * naming.embedding.weight).t() + naming.bias)
    torch.testing.assert_close(naming(pixels).exp(), (1 - calls).prod(1))


def test_schedule_warms_up_and_ends_low():
    assert schedule(0, 100, 0.1) < 0.05
    assert schedule(29, 100, 0.1) > 0.8
    assert abs(schedule(100, 100, 0.1) - 0.1) < 1e-9
