"""Candidates in one tree against transformers' own forward over image, prompt and one candidate at a time."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from fastvlm.data.example import Dialogue, Example, write_manifest
from fastvlm.decoding import rank as ranking
from fastvlm.decoding import rank_stage
from fastvlm.decoding.rank import answer_tokens, end_token, log_likelihoods, packed
from fastvlm.decoding.rank_stage import rank
from fastvlm.errors import UserError
from fastvlm.metrics.dialogue import ndcg, rank_of
from fastvlm.models.tree import token_tree
from tests import tiny

KINDS = {"llava": ("llava", 4), "llava-grouped": ("llava", 2), "blip2-opt": ("blip2-opt", 4), "blip2-t5": ("blip2-t5", 4)}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
CANDIDATES = ("yes", "yes, it is", "yes, it is a red circle", "no", "two", "no", "", "a blue square to the left of it", "yes, it")
KNOBS = {"model": "tiny", "device": "cpu", "dtype": "float32", "threads": 1}
WORDS = st.lists(st.sampled_from(["yes", "no", "a", "red", "it is", "blue circle", "2", ","]), max_size=6)


@pytest.fixture(scope="module", params=KINDS)
def folder(request, tmp_path_factory):
    family, kv_heads = KINDS[request.param]
    return tiny.save_checkpoint(tmp_path_factory.mktemp("ranked"), family, seed=kv_heads, kv_heads=kv_heads)


@pytest.fixture(scope="module", params=DTYPES)
def model(folder, request):
    return tiny.load(folder, DTYPES[request.param])


def round_of(number=0, candidates=CANDIDATES, right=1, relevance=(), split="test"):
    """A round with history about a drawn picture."""
    dialogue = Dialogue("a red circle", (("Is it red?", "yes"), ("How many?", "two.")), tuple(candidates), right, tuple(relevance))
    drawn = tiny.examples(number + 1, split)[number]
    return replace(drawn, task="dialogue", prompt="Is it large?", references=("yes",), dialogue=dialogue, tags=("size",))


def slow_log_likelihoods(target, inputs, candidates):
    """Everything once more for each candidate, by transformers."""
    model, encoder = target.backbone.model, target.backbone.encoder
    found = []
    for candidate in candidates:
        text = torch.tensor([[*target.backbone.processor.tokenizer.encode(f" {candidate}", add_special_tokens=False), end_token(target)]])
        if encoder is None:
            logits = model(input_ids=torch.cat((inputs["input_ids"], text), 1), pixel_values=inputs["pixel_values"]).logits
            logits = logits[0, inputs["input_ids"].shape[1] - 1 : -1]
        else:
            start = torch.tensor([[target.backbone.language.config.decoder_start_token_id]])
            logits = model(**inputs, decoder_input_ids=torch.cat((start, text[:, :-1]), 1)).logits[0]
        steps = logits.double().log_softmax(-1)[torch.arange(text.shape[1]), text[0]]
        found.append(steps.sum().item())
    return torch.tensor(found, dtype=torch.float64)


def assert_equal_to_loop(target, candidates):
    inputs = target.prepare(round_of())
    found = log_likelihoods(target, inputs, candidates)
    torch.testing.assert_close(found, slow_log_likelihoods(target, inputs, candidates), atol=1e-5, rtol=0)
    return found


def test_candidates_equal_the_full_recompute(model):
    found = assert_equal_to_loop(model, CANDIDATES)
    assert found.dtype == torch.float64 and len(set(found.tolist())) == len(set(CANDIDATES))
    assert found[3] == found[5]  # "no" twice


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=12))
@example([""])
@example(["yes"])
@example(["no", "no"])
def test_any_candidates_equal_the_full_recompute(model, candidates):
    found = assert_equal_to_loop(model, candidates).tolist()
    assert len(set(found)) <= len(set(candidates))  # equal texts are equal to the bit, so that they tie


@pytest.mark.parametrize("most", [1, 7])
def test_passes_change_nothing(model, most, monkeypatch):
    monkeypatch.setattr(ranking, "packed", lambda answers: packed(answers, most))
    assert_equal_to_loop(model, CANDIDATES)


def test_the_prompt_runs_once(model, monkeypatch):
    calls, read = [], type(model.backbone).read_prompt
    monkeypatch.setattr(type(model.backbone), "read_prompt", lambda self, *inputs: calls.append(inputs) or read(self, *inputs))
    log_likelihoods(model, model.prepare(round_of()), CANDIDATES)
    assert len(calls) == 1


def test_an_answer_without_tokens_is_as_likely_as_the_end(model, monkeypatch):
    monkeypatch.setattr(ranking, "answer_tokens", lambda *_: ())
    inputs, last = model.prepare(round_of()), len(model.decoder.layers)
    ends = model.decoder.head(model.prefill(inputs, 1, {last}).hidden[last][-1]).double().log_softmax(-1)[end_token(model)]
    torch.testing.assert_close(log_likelihoods(model, inputs, ["", ""]), ends.expand(2), atol=1e-5, rtol=0)


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1), st.integers(1, 12))
def test_packed_loses_nothing_and_keeps_to_the_limit(answers, most):
    batches = list(packed(answers, most))
    assert [answer for batch in batches for answer in batch] == answers
    assert all(len(batch) == 1 or sum(map(len, batch)) <= most for batch in batches)


@given(st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=8))
def test_a_token_of_a_tree_sees_itself_and_what_it_continues(continuations):
    tree = token_tree(continuations, torch.device("cpu"))
    assert len(tree.tokens) == len({tuple(text[: end + 1]) for text in continuations for end in range(len(text))})
    for text, path in zip(continuations, tree.paths, strict=True):
        for depth, number in enumerate(path):
            assert tree.tokens[number - 1] == text[depth] and tree.depths[number - 1] == depth
            assert (tree.looks[number - 1].nonzero()[:, 0] + 1).tolist() == sorted(path[: depth + 1])


def test_an_answer_has_the_tokens_of_training(checkpoint):
    tokenizer = tiny.load(checkpoint).backbone.processor.tokenizer
    for text in CANDIDATES:
        assert list(answer_tokens(tokenizer, text)) == tokenizer.encode(f" {text}")


def test_an_answer_has_one_space_before_it_where_the_tokenizer_adds_its_own():
    """Llama's: a text alone would get two spaces, or none."""
    pieces = ["▁", ":", "y", "e", "s", "▁:", "ye", "yes", "▁yes", "▁▁", "<unk>"]
    merges = [("▁", ":"), ("y", "e"), ("ye", "s"), ("▁", "yes"), ("▁", "▁")]
    tokenizer = Tokenizer(BPE({piece: place for place, piece in enumerate(pieces)}, merges, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    assert answer_tokens(wrapped, "yes") == (pieces.index("▁yes"),)


def test_the_end_is_where_the_model_stops(checkpoint):
    target = tiny.load(checkpoint)
    own = target.backbone.processor.tokenizer.eos_token_id
    assert end_token(target) == own
    assert end_token(replace(target, end_tokens=frozenset({7, own + 90}))) == 7


# The stage


def manifest_of(folder, examples, name="scenes-dialogue"):
    write_manifest(folder / f"{name}.jsonl", examples)
    return folder / f"{name}.jsonl"


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_stage_ranks_the_test_split_of_every_manifest(folder, tmp_path, capsys):
    relevance = [0.0, 1.0, 0.5, *[0.0] * (len(CANDIDATES) - 3)]
    rounds = [round_of(0, relevance=relevance), round_of(1, CANDIDATES[:3], 2), round_of(2, (), None)]
    manifests = [manifest_of(tmp_path, [*rounds, round_of(split="validation")]), manifest_of(tmp_path, tiny.examples(2), "captions")]
    rank(KNOBS, folder, manifests, tmp_path / "tiny.jsonl")
    rows, target = rows_of(tmp_path / "tiny.jsonl"), tiny.load(folder, torch.float32)
    assert [(row["example"], row["candidates"]) for row in rows] == [("test-0", len(CANDIDATES)), ("test-1", 3)]
    for row, asked in zip(rows, rounds, strict=False):
        scores = np.array(row["log_likelihoods"])
        expected = slow_log_likelihoods(target, target.prepare(asked), asked.dialogue.candidates)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        assert (row["model"], row["dataset"], row["tags"]) == ("tiny", "scenes-dialogue", ["size"])
        assert row["rank"] == rank_of(scores, asked.dialogue.right)
    assert rows[0]["ndcg"] == ndcg(np.array(rows[0]["log_likelihoods"]), np.array(relevance)) and rows[1]["ndcg"] is None
    assert "scenes-dialogue: 1 of 3 rounds have no candidates and are not ranked" in capsys.readouterr().err


def test_nothing_to_rank_is_an_empty_file(checkpoint, tmp_path):
    rank(KNOBS, checkpoint, [manifest_of(tmp_path, [*tiny.examples(1), round_of(1, (), None)])], tmp_path / "tiny.jsonl")
    assert rows_of(tmp_path / "tiny.jsonl") == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"candidates": ["yes"], "right": 0}, "1 candidate, expected at least 2"),
        ({"right": 9}, "right is 9, expected the place of the human answer, 0 to 8"),
        ({"right": -1}, "right is -1, expected"),
        ({"right": None}, "right is None, expected"),
        ({"relevance": [1.0]}, "relevance of 1 candidates, expected of all 9, or of none"),
    ],
)
def test_bad_rounds_are_named_and_nothing_is_written(checkpoint, tmp_path, changes, line):
    manifest = manifest_of(tmp_path, [round_of(0), round_of(1, **changes)])
    with pytest.raises(UserError, match=f"scenes-dialogue.jsonl: test-1: {line}"):
        rank(KNOBS, checkpoint, [manifest], tmp_path / "tiny.jsonl")
    assert not (tmp_path / "tiny.jsonl").exists()


def test_an_overflow_is_named(checkpoint, tmp_path, monkeypatch):
    broken = torch.tensor([-1.0, float("nan"), *[-2.0] * 7], dtype=torch.float64)
    monkeypatch.setattr(rank_stage, "log_likelihoods", lambda *_: broken)
    with pytest.raises(UserError, match="scenes-dialogue: test-0: the log-likelihood of candidate 1 is nan in float32"):
        rank(KNOBS, checkpoint, [manifest_of(tmp_path, [round_of()])], tmp_path / "tiny.jsonl")
    assert not (tmp_path / "tiny.jsonl").exists()


def test_more_tokens_than_the_model_can_place_are_named(tmp_path):
    folder = tiny.save_checkpoint(tmp_path / "opt", "blip2-opt")
    asked: Example = round_of(0, ["yes", "no " * 1100])
    with pytest.raises(UserError, match=r"scenes-dialogue: test-0: a text of \d+ tokens, prompt included: the model knows 1024 positions"):
        rank(KNOBS, folder, [manifest_of(tmp_path, [asked])], tmp_path / "tiny.jsonl")


def test_many_candidates_need_no_more_positions_than_the_longest(tmp_path):
    """OPT places each candidate behind the prompt, not behind the candidates before it."""
    target = tiny.load(tiny.save_checkpoint(tmp_path, "blip2-opt"))
    candidates = [f"{word} {'red ' * 40}" for word in ("yes", "no", "two", "three", "a", "blue", "circle", "left")]
    inputs = target.prepare(replace(round_of(), prompt="Is it large? " * 40))
    found = log_likelihoods(target, inputs, candidates)
    torch.testing.assert_close(found, slow_log_likelihoods(target, inputs, candidates), atol=1e-5, rtol=0)
