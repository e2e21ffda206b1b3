"""The search: it counts what drafting would do, finds the layers that do nothing, and ends alike whatever interrupts it."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data.example import write_manifest
from fastvlm.decoding import autoregressive
from fastvlm.decoding import search as stage
from fastvlm.decoding.agreement import agreement, expected_speedup, read_text, rounds
from fastvlm.decoding.drafters import Bounds
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.search import find, search
from fastvlm.decoding.skipping import SkipDrafter, load_skips
from fastvlm.decoding.trials import Outcome, Skipped
from fastvlm.errors import UserError
from fastvlm.imitation.texts import generate_texts
from fastvlm.models.tree import rounds_tree
from fastvlm.rows import write_rows
from fastvlm.table_file import read_table
from tests import tiny

KNOBS = {
    "seed": 1, "device": "cpu", "dtype": "float32", "threads": 1, "text": "generated", "longest_draft": 4,
    "trials": 9, "texts": 4, "most_skipped": 0.5,
}  # fmt: skip
TEXTS = {"device": "cpu", "dtype": "float32", "threads": 1, "examples": 1, "generation_batch": 8, "max_new_tokens": [12]}
IDLE = (1, 3)


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def task(request, tmp_path_factory):
    """(checkpoint with two layers that do nothing, manifest, its own texts)."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = tiny.save_checkpoint(folder / "model", request.param, seed=3, idle=IDLE)
    manifest = folder / "scenes-caption.jsonl"
    write_manifest(manifest, [*tiny.examples(2, "train"), *tiny.examples(6, "validation")])
    generate_texts(TEXTS, checkpoint, [manifest], folder / "texts.jsonl")
    return checkpoint, manifest, folder / "texts.jsonl"


def run(output, task, texts=True, **knobs):
    checkpoint, manifest, spoken = task
    search(KNOBS | knobs, checkpoint, [manifest], spoken if texts else None, output)
    return {path.name: path.read_bytes() for path in output.iterdir()}


@pytest.mark.parametrize("length", [1, 3, 20])
def test_agreement_is_what_the_drafter_drafts(task, length):
    """Each round of each text, drafted for real behind what the full model left in the cache."""
    target = tiny.load(task[0])
    thinner = target.decoder.without({0}, {2})
    drafter, example = SkipDrafter(thinner), tiny.examples(1, "validation")[0]
    prefix = target.prefill(target.prepare(example), 40)
    tokens = autoregressive.decode(target.decoder, prefix, limit=14, end_tokens=frozenset()).tokens
    agreed = agreement(thinner, read_text(target, example, tokens, length))
    assert len(agreed) == 13
    for begin in range(0, 13, length):
        prefix = target.prefill(target.prepare(example), 40)
        autoregressive.decode(target.decoder, prefix, limit=begin + 1, end_tokens=frozenset())
        drafter.start(prefix, 40)
        prefix.cache.length = prefix.length + begin
        most = min(length, 13 - begin)
        drafts, _ = drafter.draft(target.decoder, prefix.cache, [], torch.tensor([tokens[begin]]), Bounds(most, (), Fixed(most)))
        same = [draft == token for draft, token in zip(drafts.tolist(), tokens[begin + 1 :], strict=False)]
        judged = same[: same.index(False) + 1] if False in same else same  # what follows a wrong draft is drafted behind it
        assert agreed[begin : begin + len(judged)] == judged


def test_a_round_sees_the_text_before_it_and_of_itself_what_it_has_said():
    tree = rounds_tree(torch.tensor([7, 8, 9, 7, 8]), 2)
    assert tree.depths.tolist() == [-5, -4, -3, -2, -1]
    # Columns 0 to 4 are the text as the full model read it, 5 to 9 the same tokens as they are drafted.
    assert [row.nonzero()[:, 0].tolist() for row in tree.looks] == [[5], [5, 6], [0, 1, 7], [0, 1, 7, 8], [0, 1, 2, 3, 9]]


def test_without_nothing_it_agrees_with_itself(task):
    target, example = tiny.load(task[0]), tiny.examples(1, "validation")[0]
    prefix = target.prefill(target.prepare(example), 14)
    tokens = autoregressive.decode(target.decoder, prefix, limit=14, end_tokens=frozenset()).tokens
    text = read_text(target, example, tokens, 4)
    assert text.choices.tolist() == tokens[1:]
    assert agreement(target.decoder.without((), ()), text) == [True] * 13


def test_rounds_by_hand():
    agreed = [True, True, False, True, True, True, False]
    assert list(rounds(agreed, 2)) == [(2, 2), (2, 2), (1, 0)]  # what follows two that stand is the full model's own
    assert list(rounds(agreed, 4)) == [(4, 2), (4, 3)]
    assert expected_speedup([agreed], 0.5, 1) == pytest.approx(7 / (4 + 0.5 * 4))
    assert expected_speedup([agreed], 0.25, 4) == pytest.approx(7 / (2 + 0.25 * 6))  # at 3: (3, 2), (3, 3)
    assert expected_speedup([[True] * 8], 0.0, 3) == 4


@settings(max_examples=8)
@given(sublayers=st.integers(2, 12), data=st.data(), seed=st.integers(0, 9))
def test_the_harmless_sublayers_are_found(sublayers, data, seed):
    harmless = data.draw(st.sets(st.integers(0, sublayers - 1), min_size=1, max_size=sublayers - 1))
    most = data.draw(st.integers(1, sublayers - 1))

    def outcome(skipped):
        chosen = {2 * layer for layer in skipped.attention} | {2 * layer + 1 for layer in skipped.feed_forward}
        return Outcome(0.5 ** len(chosen - harmless), (1 + len(chosen)) * 0.5 ** len(chosen - harmless))

    count = 3 * most  # a third of them in order of rank: one for each number of sublayers
    trials = find(outcome, sublayers, most, count=count, seed=seed)
    assert [trial.number for trial in trials] == [None] * sublayers + list(range(count))
    assert all(sum(map(len, trial.skipped)) <= most for trial in trials)
    best = max(trials, key=lambda trial: trial.outcome.speedup).outcome
    assert best.agreement == 1 and best.speedup == 1 + min(most, len(harmless))
    assert find(outcome, sublayers, most, count=count, seed=seed) == trials


def test_the_sampler_goes_beyond_what_ranking_alone_finds():
    """Two sublayers, each harmful alone, harmless together: no ranking tries one without what it is ranked behind."""

    def outcome(skipped):
        pair = ((0 in skipped.attention) + (0 in skipped.feed_forward)) % 2 == 0
        return Outcome(0.9 if pair else 0.1, len(skipped.attention) + 3 * len(skipped.feed_forward) - 9 * (2 in skipped.attention))

    trials = find(outcome, 8, 6, count=40, seed=1)
    ranked, best = (max(trial.outcome.speedup for trial in some) for some in (trials[: 8 + 6], trials))
    assert best > ranked


def test_layers_that_do_nothing_are_skipped(tmp_path, task):
    written = run(tmp_path, task, most_skipped=0.4)
    found = json.loads(written["skips.json"])
    assert (found["attention"], found["feed_forward"]) == (list(IDLE), list(IDLE))
    assert (found["agreement"], found["share_run"], found["texts_read"]) == (1.0, 0.6, 4)
    trials = read_table(tmp_path / "trials.csv")
    assert len(trials) == 10 + 9
    assert {"1 3"} == {trial["attention"] for trial in trials if trial["trial"] == found["trial"]}
    assert load_skips(tmp_path / "skips.json", tiny.load(task[0], torch.float32), task[0]).thinner.layers[1].attention is None


def test_references_serve_where_the_model_said_nothing(tmp_path, task):
    found = json.loads(run(tmp_path, task, texts=False, text="references", most_skipped=0.4)["skips.json"])
    assert found["attention"] == list(IDLE)


@pytest.mark.parametrize("measured", [3, 14])
def test_a_killed_search_goes_on_to_the_same_bytes(tmp_path, task, monkeypatch, measured):
    expected = run(tmp_path / "whole", task)
    monkeypatch.setattr(stage, "_measure_on", lambda *of: killed_after(measured, MEASURE_ON(*of)))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", task)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [".checkpoint"]
    journal = tmp_path / "killed" / ".checkpoint" / "trials.jsonl"
    journal.write_text(journal.read_text() + '{"skipped": [[1')  # cut off in the middle of a line
    asked = []
    monkeypatch.setattr(stage, "_measure_on", lambda *of: lambda skipped: asked.append(skipped) or MEASURE_ON(*of)(skipped))
    assert run(tmp_path / "killed", task) == expected
    assert len(asked) == len(set(asked)) <= 10 + 9 - measured


def test_what_was_measured_of_another_task_is_not_believed(tmp_path, task, monkeypatch):
    expected = run(tmp_path / "whole", task, longest_draft=3)
    monkeypatch.setattr(stage, "_measure_on", lambda *of: killed_after(12, MEASURE_ON(*of)))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", task)
    monkeypatch.undo()
    assert run(tmp_path / "killed", task, longest_draft=3) == expected


def test_nothing_to_skip_and_nothing_to_search_on_are_refused(tmp_path, task):
    with pytest.raises(UserError, match=r"of its 10 sublayers a share of 0\.05 is none; expected a larger most_skipped"):
        run(tmp_path, task, most_skipped=0.05)
    write_rows(tmp_path / "texts.jsonl", [{"id": f"validation-{index}", "split": "validation", "tokens": [4]} for index in range(6)])
    with pytest.raises(UserError, match="no validation example has a text of two tokens, so nothing can be searched on"):
        run(tmp_path, (*task[:2], tmp_path / "texts.jsonl"))


def test_sublayers_are_numbered_through_the_decoder():
    assert Skipped.of([5, 0, 4]) == Skipped((0, 2), (2,))
    assert Skipped((0, 2), (2,)).share_run(6) == 0.75


MEASURE_ON = stage._measure_on


def killed_after(count, measure):
    left = iter(range(count))

    def measure_or_die(skipped):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return measure(skipped)

    return measure_or_die
