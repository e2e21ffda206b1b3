"""Training a model of a few thousand weights: whole checkpoint, resumption, growth, the first lesson."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pandas as pd
import pytest
import torch

from fastvlm.data.example import Dialogue, write_manifest
from fastvlm.errors import UserError
from fastvlm.models import pretrain as stage
from fastvlm.models.backbone import UNLABELLED
from fastvlm.models.corpus import Corpus
from fastvlm.models.pretrain import lessons, pretrain
from fastvlm.models.training import schedule
from fastvlm.models.words import WordNaming
from fastvlm.models.zoo import build_backbone, build_processor, grow
from tests import tiny

TRAINING = {
    "precision": "float32", "threads": 1, "batch": 8, "batch_tokens": 9999, "word_steps": 4, "word_tasks": ["caption"],
    "word_rate": 2e-3, "vision_rate": 0.3, "checkpoint_every": 3,
    "stages": [
        {"layers": 2, "tasks": ["caption"], "share": 0.5, "steps": 4, "learning_rate": 1e-3, "final": 0.5},
        {"layers": 4, "tasks": None, "share": 1.0, "steps": 5, "learning_rate": 1e-3, "final": 0.1},
    ],
}  # fmt: skip
KNOBS = {"name": "tiny", "device": "cpu", "seed": 1, "layers": 4, "training": TRAINING}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes-caption.jsonl"
    write_manifest(path, tiny.examples(40, "train"))
    return path


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def knobs(request):
    return {**KNOBS, **tiny.knobs(request.param)}


@pytest.fixture(scope="module")
def processor(knobs):
    return build_processor(knobs, [text for example in tiny.examples(40, "train") for text in example.references])


@pytest.fixture(scope="module")
def corpus(knobs, processor):
    return Corpus(tiny.examples(40, "train"), processor, knobs["family"])


@pytest.fixture(autouse=True)
def gradients(no_gradients):
    with torch.enable_grad():
        yield


def digest(folder):
    """Of every file but the learning curve, which holds seconds."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.*") if path.suffix != ".csv"}


def test_two_trainings_and_an_interrupted_one_give_the_same_bytes(tmp_path, knobs, manifest, monkeypatch):
    for name in ("first", "second"):
        pretrain(knobs, [manifest], tmp_path / name)
    real, calls = stage.sentence_loss, []

    def dies(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4 + 5:  # the fifth step of the deep stage, after its checkpoint at the third
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(stage, "sentence_loss", dies)
    with pytest.raises(KeyboardInterrupt):
        pretrain(knobs, [manifest], tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    calls[:] = [0] * 20
    pretrain(knobs, [manifest], tmp_path / "killed")
    assert len(calls) == 20 + 2
    assert digest(tmp_path / "first") == digest(tmp_path / "second") == digest(tmp_path / "killed")
    curve = pd.read_csv(tmp_path / "killed" / "learning_curve.csv")
    assert list(curve.columns) == ["stage", "step", "seconds", "loss", "learning_rate", "model"]
    assert len(curve) == 4 + 4 + 5


def test_a_checkpoint_of_another_task_is_not_taken_up(tmp_path, manifest, monkeypatch):
    monkeypatch.setattr(stage, "save", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        pretrain({**KNOBS, **tiny.knobs("llava")}, [manifest], tmp_path)
    state = torch.load(tmp_path / ".checkpoint" / "state.pt", weights_only=True)
    from fastvlm.models.training_state import TrainingState

    path = tmp_path / ".checkpoint" / "state.pt"
    assert TrainingState.find(path, state["task"]).step == 5
    assert TrainingState.find(path, "another").step == 0


def test_growing_keeps_about_the_function_and_needs_every_copy(knobs, processor, corpus):
    torch.manual_seed(0)
    backbone = build_backbone(knobs, processor, 2)
    batch = corpus.batch(0, 4, corpus.of_tasks(None, 1.0), seed=1, most_tokens=9999)
    expected = backbone.logits(backbone.hidden(batch))
    grown = grow(backbone, knobs, 6)
    alike = torch.corrcoef(torch.stack([grown.logits(grown.hidden(batch)).flatten(), expected.flatten()]))
    assert alike[0, 1] > 0.98
    for old, new in zip(backbone.stacks(), grown.stacks(), strict=True):
        shares = [1, 0, 0, 1 / 3, 1 / 3, 1 / 3]
        for layer, share, of in zip(new, shares, [old[0]] * 3 + [old[1]] * 3, strict=True):
            for before, after in zip(backbone.outputs(of), grown.outputs(layer), strict=True):
                torch.testing.assert_close(after.weight, before.weight * share)
    grown.logits(grown.hidden(batch)).sum().backward()
    assert all(projection.weight.grad.abs().sum() > 0 for projection in grown.outputs(grown.layers[1]))  # the silent ones can learn
    assert grown.model.get_output_embeddings().weight is grown.model.get_input_embeddings().weight


def test_position_biases_learn_faster_and_no_weight_is_left_out(knobs, processor):
    backbone = build_backbone(knobs, processor, 2)
    groups = stage.rate_groups(backbone, [(0.5, backbone.sight()), (15.0, backbone.position_biases())], 0.1)
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    assert len(rates) == sum(len(group["params"]) for group in groups) == len(list(backbone.model.parameters()))
    fast = [name for name, weight in backbone.model.named_parameters() if rates[id(weight)] == 1.5]
    assert len(fast) == (2 if knobs["family"] == "blip2-t5" else 0) and all("relative_attention_bias" in name for name in fast)


def test_batches_depend_on_the_step_alone_and_teach_to_end(corpus):
    members = corpus.of_tasks(None, 1.0)
    one, again = (corpus.batch(5, 4, members, seed=3, most_tokens=9999) for _ in range(2))
    assert one.answers == again.answers and one.prompts == again.prompts
    assert torch.equal(one.pixel_values, again.pixel_values)
    assert corpus.rows(5, 4, members, 3) != corpus.rows(5, 4, members, 4)
    assert all(answer[-1] == 2 and answer.count(2) == 1 for answer in one.answers)


def test_the_share_takes_the_shortest_texts(corpus):
    rows = {row for step in range(40) for row in corpus.rows(step, 4, corpus.of_tasks(None, 0.25), 1)}
    assert rows <= set(range(10)) and len(rows) > 5
    lengths = [sum(map(len, corpus.answers[row])) / 5 for row in range(len(corpus))]
    assert lengths == sorted(lengths)


def test_a_stage_takes_the_examples_of_its_tasks(processor, knobs):
    mixed = [replace(example, task=task) for task, example in zip(["vqa", "caption"] * 6, tiny.examples(12, "train"), strict=True)]
    corpus = Corpus(mixed, processor, knobs["family"])
    members = corpus.of_tasks(["vqa"], 1.0)
    assert len(members) == 6 and {corpus.examples[row].task for row in members} == {"vqa"}
    assert {row for step in range(20) for row in corpus.rows(step, 4, members, 1)} == set(members.tolist())
    with pytest.raises(UserError, match="no example of the tasks dialogue"):
        corpus.of_tasks(["dialogue"], 1.0)


def test_a_batch_of_long_texts_has_fewer_examples_the_longest_among_them(corpus):
    members = corpus.of_tasks(None, 1.0)
    whole, part = (corpus.batch(5, 8, members, seed=3, most_tokens=most) for most in (9999, 200))
    longest = max(len(prompt) + len(answer) for prompt, answer in zip(part.prompts, part.answers, strict=True))
    assert 1 < len(part.answers) < len(whole.answers) == 8
    assert len(part.answers) * longest < 250
    rows = corpus.rows(5, 8, members, 3)
    assert part.prompts[0] == corpus.prompt_ids(rows[-1]) and part.prompts[-1] == corpus.prompt_ids(rows[0])


def test_the_shortest_counts_prompts_too(processor, knobs):
    """A long prompt costs as much as a long answer."""
    short, long = tiny.examples(2, "train")
    said = Dialogue("a picture", (("what is it?", "a star"),) * 5)
    corpus = Corpus([replace(short, dialogue=said, references=("a",)), replace(long, references=("a",))], processor, knobs["family"])
    assert [example.id for example in corpus.examples] == [long.id, short.id]


SAID = Dialogue("two shapes", (("Is it red?", "Yes, a red star."), ("Where?", "At the top")))


@pytest.fixture
def talk(processor, knobs):
    """A corpus of one dialogue's third round."""
    return Corpus(
        [replace(*tiny.examples(1, "train"), dialogue=SAID, prompt="How many?", references=("Two.",))], processor, knobs["family"]
    )


def test_what_was_answered_before_is_found_in_the_prompt(talk, processor, knobs):
    batch = talk.collate([0], talk.answers[0])
    said = [processor.tokenizer.decode(batch.prompts[0][begin:end]) for begin, end in batch.replies[0]]
    as_answered = {
        "llava": [" Yes, a red star.</s>", " At the top</s>"],
        "blip2-opt": [" Yes, a red star.", " At the top."],
        "blip2-t5": [],  # its encoder reads them as what was told
    }
    assert said == as_answered[knobs["family"]]


def test_t5_reads_an_end_behind_its_prompt_as_its_own_tokenizer_puts_it(talk, processor, knobs):
    closed = talk.prompt_ids(0)[-1] == processor.tokenizer.eos_token_id
    assert closed == (knobs["family"] == "blip2-t5")
    assert all(answer.count(processor.tokenizer.eos_token_id) == 1 for answer in talk.answers[0])


def test_a_decoder_that_reads_the_prompt_learns_its_answers_too(talk, processor, knobs):
    backbone = build_backbone(knobs, processor, 2)
    batch = talk.collate([0], talk.answers[0])
    hidden = backbone.hidden(batch)
    labels = backbone.labels(batch, hidden.shape[1])[0]
    learned = [token for begin, end in batch.replies[0] for token in batch.prompts[0][begin:end]]
    learned = [] if knobs["family"] == "blip2-t5" else learned
    assert labels[labels != UNLABELLED].tolist() == learned + batch.answers[0]
    if learned:
        # A label stands where the token before it was read.
        read = torch.tensor((batch.prompts[0] + batch.answers[0])[1:])
        assert torch.equal(labels[labels != UNLABELLED], read[: len(labels)][labels[: len(read)] != UNLABELLED])


def test_a_dialogue_is_learned_round_by_round_where_an_encoder_reads_it(knobs):
    said = replace(*tiny.examples(1, "train"), dialogue=SAID, prompt="How many?", references=("Two.",))
    learned = lessons([said], knobs["family"])
    assert learned[-1] == said
    if knobs["family"] == "blip2-t5":
        rounds = [(one.prompt, *one.references, len(one.dialogue.history)) for one in learned]
        assert rounds == [("Is it red?", "Yes, a red star.", 0), ("Where?", "At the top", 1), ("How many?", "Two.", 2)]
    else:
        assert len(learned) == 1


def test_a_picture_that_many_rounds_speak_of_is_held_once(processor, knobs):
    one, other = tiny.examples(2, "train")
    corpus = Corpus([one, replace(one, id="again"), other], processor, knobs["family"])
    pixels = {example.id: corpus.pixels([row])[0] for row, example in enumerate(corpus.examples)}
    assert torch.equal(pixels[one.id], pixels["again"]) and not torch.equal(pixels[one.id], pixels[other.id])
    assert len(corpus._pixels) == 2


def test_noisy_or_against_the_product(knobs, processor, corpus):
    """P(word absent) is the product over features of 1 - P(feature calls for it)."""
    torch.manual_seed(0)
    backbone = build_backbone(knobs, processor, 2)
    naming = WordNaming(backbone)
    pixels = corpus.pixels([0, 1])
    features = backbone.image_features(pixels)
    directions = features * features.pow(2).mean(-1, keepdim=True).add(torch.finfo(torch.float32).eps).rsqrt()
    scaled = naming.embedding.weight / naming.embedding.weight.std() * 0.16
    calls = torch.sigmoid(directions @ scaled.t() + naming.bias)
    torch.testing.assert_close(naming(pixels).exp(), (1 - calls).prod(1))


def test_every_family_begins_small(knobs, processor, corpus):
    """Steps of AdamW are of one size whatever the weight: a large beginning would hardly move, a loud head would have to unlearn."""
    torch.manual_seed(0)
    backbone = build_backbone(knobs, processor, 2)
    assert backbone.model.get_input_embeddings().weight.std() < 0.1
    batch = corpus.batch(0, 4, corpus.of_tasks(None, 1.0), seed=1, most_tokens=9999)
    assert 0.02 < backbone.logits(backbone.hidden(batch)).std() < 1


def test_queries_begin_by_looking_at_one_patch_each():
    """Otherwise they specialise in words, and no colour belongs to a shape."""
    torch.manual_seed(0)
    knobs = {**tiny.knobs("blip2-opt"), "query_tokens": 9, "vision_hidden": 64}
    model = build_backbone(knobs, build_processor(knobs, ["a"]), 2).model
    looks = []
    attention = model.qformer.encoder.layer[0].crossattention.attention
    attention.register_forward_hook(lambda module, inputs, output: looks.append(output[1]))
    model.qformer.config._attn_implementation = "eager"
    model.get_image_features(pixel_values=torch.randn(1, 3, 48, 48), output_attentions=True)
    assert looks[0].mean(1)[0].argmax(-1).tolist() == list(range(1, 10))  # 0 is the class token


def test_schedule_warms_up_and_ends_low():
    assert schedule(0, 100, 0.1) < 0.05
    assert schedule(29, 100, 0.1) > 0.8
    assert abs(schedule(100, 100, 0.1) - 0.1) < 1e-9
