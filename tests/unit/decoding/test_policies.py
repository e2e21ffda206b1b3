"""How much is drafted: each rule against what it says, and what is fitted against brute force over the same rounds."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data.example import Example, write_manifest
from fastvlm.decoding.calibration import Calibration
from fastvlm.decoding.costs import Costs
from fastvlm.decoding.fit import KNOWN_TO, fit, fit_all
from fastvlm.decoding.observe import observe
from fastvlm.decoding.observed import Draft, Text, replay
from fastvlm.decoding.policies import Confidence, Context, Fixed, Goodput, load
from fastvlm.errors import UserError
from fastvlm.rows import read_rows, write_rows
from tests import tiny
from tests.rows_factory import cost_rows

LONGEST = 8
CHEAP = Costs(0.002, 0.0002, tuple(0.002 + 0.00005 * more for more in range(LONGEST + 1)), 0.0003)
DEAR = Costs(0.002, 0.003, tuple(0.002 + 0.001 * more for more in range(LONGEST + 1)), 0.0003)


def texts_of(seed, *, agreement=0.9, honest=True, texts=30):
    """Observed rounds of a drafter that is right with the probability that it names, or names one at random."""
    rng = random.Random(seed)
    made = []
    for _ in range(texts):
        rounds, context = [], 20
        for _ in range(4):
            sure = [min(0.999, max(0.001, rng.gauss(agreement, 0.15))) for _ in range(LONGEST)]
            stood = next((place for place, chance in enumerate(sure) if rng.random() > chance), LONGEST)
            rounds.append([context, stood, sure if honest else [rng.random() for _ in sure]])
            context += stood + 1
        made.append(Text.of(rounds, LONGEST))
    return made


def rate(policy, texts, costs):
    tokens, seconds = replay(policy, texts, costs)
    return tokens / seconds


def test_a_context_policy_looks_up_its_bin():
    policy = Context([10, 20, 30], [2, 5, 7])
    assert [policy.most(context) for context in (3, 10, 19, 20, 29, 30, 99)] == [2, 2, 2, 5, 5, 7, 7]


def test_a_draft_below_the_threshold_is_not_wanted():
    assert [Confidence(4, 0.5).wants(chance) for chance in (0.49, 0.5, 0.9)] == [False, True, True]


def test_replay_counts_tokens_and_seconds_by_hand():
    rounds = [Text.of([[10, 2, [0.9, 0.9, 0.4, 0.9]], [13, 0, [0.3, 0.9, 0.9, 0.9]]], 4)]
    costs = Costs(10.0, 1.0, (10.0, 11.0, 12.0, 13.0, 14.0), 0.5)
    # The third draft of the first round, which fails, is met in a round of its own.
    assert replay(Fixed(1), rounds, costs) == (2 + 1 + 1, 3 * (1 + 11.0) + 0.5)
    assert replay(Fixed(4), rounds, costs) == (3 + 1, 2 * (4 + 14.0) + 0.5)
    # Dropped drafts cost a step: the third of the first round, the first of the second.
    assert replay(Confidence(4, 0.5), rounds, costs) == (3 + 1, (3 + 12.0) + (1 + 10.0) + 0.5)
    assert replay(Fixed(0), rounds, costs) == (4, 40.0)
    # What watches pays for each look.
    assert replay(Confidence(4, 0.5), rounds, replace(costs, look=0.1))[1] == pytest.approx(26.5 + 0.4)
    # What ends with an accepted draft gets no token of the full model's behind it: one pass gave one token, as without drafting.
    word = [Text.of([[10, 1, [0.9]]], 4, ends_in_draft=True)]
    assert replay(Fixed(4), word, costs) == (1, 1 + 11.0 + 0.5)
    assert replay(Fixed(0), word, costs) == (1, 10.0)


def test_what_a_shorter_draft_leaves_of_a_short_text_costs_a_pass_more():
    text = [Text.of([[10, 9, [0.9] * 9]], 9, ends_in_draft=True)]
    costs = Costs(10.0, 1.0, tuple(10.0 + more for more in range(10)))
    assert replay(Fixed(9), text, costs) == (9, 9 + 19.0)
    assert replay(Fixed(7), text, costs) == (9, (7 + 17.0) + (1 + 11.0))
    # Eight, as the last token is then the pass's own.
    assert load(fit_all(text * 20, costs, 9)[2]).most(10) == 8


def test_a_shorter_draft_goes_on_where_a_whole_round_stood():
    """Observed: two drafts and the pass's own token, which no draft is known of, then one draft that ends the text."""
    text = [Text.of([[10, 2, [0.9, 0.9]], [13, 1, [0.9]]], 2, ends_in_draft=True)]
    assert text[0].drafts[2] == Draft(0.9, None)
    costs = Costs(10.0, 1.0, (10.0, 11.0, 12.0, 13.0))
    assert replay(Fixed(2), text, costs) == (4, (2 + 12.0) + (1 + 11.0))
    assert replay(Fixed(3), text, costs) == (4, 3 + 13.0)
    assert replay(Fixed(1), text, costs) == (4, 2 * (1 + 11.0))


def test_drafts_behind_one_that_falls_are_paid_for():
    """More of them than were observed are as likely as the last, so that a policy which watches goes on or ends as it did."""
    text = [Text.of([[10, 0, [0.4, 0.3]]], 2)]
    costs = Costs(10.0, 1.0, (10.0,) * 6)
    assert replay(Fixed(5), text, costs) == (1, 5 + 10.0)
    assert replay(Confidence(5, 0.2), text, costs) == (1, 5 + 10.0)
    assert replay(Confidence(5, 0.35), text, costs) == (1, 2 + 10.0)
    # Where the drafter ended the text, none is.
    assert replay(Fixed(5), [Text.of([[10, 0, [0.4, 0.3]]], 3)], costs) == (1, 2 + 10.0)


@given(accepted=st.integers(0, 12), length=st.integers(0, 12))
def test_every_length_gives_the_tokens_of_a_text(accepted, length):
    drafts = [0.9] * min(12, accepted + 1)
    ends = Text.of([[10, len(drafts), drafts]], 12, ends_in_draft=True)
    costs = Costs(10.0, 1.0, tuple(10.0 + more for more in range(13)))
    assert replay(Fixed(length), [ends], costs)[0] == len(drafts)
    if accepted < 12:
        assert replay(Fixed(length), [Text.of([[10, accepted, drafts]], 12)], costs)[0] == accepted + 1


def test_goodput_drafts_nothing_where_texts_are_one_word_and_an_end():
    texts = [Text.of([[20, 1, [0.99]]], LONGEST, ends_in_draft=True)] * 20
    assert load(fit_all(texts, CHEAP, LONGEST)[2]) is None


@settings(max_examples=25)
@given(seed=st.integers(0, 999), agreement=st.floats(0.2, 0.97), honest=st.booleans())
def test_what_is_fitted_is_no_worse_than_any_fixed_length_where_it_was_fitted(seed, agreement, honest):
    texts = texts_of(seed, agreement=agreement, honest=honest)
    fitted = {record["policy"]: record for record in fit_all(texts, CHEAP, LONGEST)}
    fixed = max(rate(Fixed(length), texts, CHEAP) for length in range(1, LONGEST + 1))
    # The longest length with threshold 0 is one of the candidates; bins begin with the best fixed length.
    assert rate(load(fitted["confidence"]), texts, CHEAP) >= rate(Fixed(LONGEST), texts, CHEAP) * (1 - 1e-9)
    assert rate(load(fitted["context"]), texts, CHEAP) >= fixed * (1 - 1e-9)
    goodput = load(fitted["goodput"])
    # The longest length, without looking, is left only for what is faster, and plain decoding and it are kept where no other is by far.
    reached = rate(goodput, texts, CHEAP) if goodput else 1 / CHEAP.plain
    assert reached >= rate(Fixed(LONGEST), texts, CHEAP) / (1 if goodput else 1 + KNOWN_TO) * (1 - 1e-9)
    assert reached * (1 + KNOWN_TO) >= fixed * (1 - 1e-9)


@pytest.mark.parametrize(("short", "steady"), [(10, LONGEST), (11, 6)])
def test_goodput_drafts_less_than_it_may_only_where_that_is_faster_by_more_than_costs_are_known_to(short, steady):
    """One draft fewer than a text has spares a step, as its end is then the pass's own; two fewer than a longer one has cost a pass."""
    seven, eight = (Text.of([[20, drafts, [0.9] * drafts]], LONGEST, ends_in_draft=True) for drafts in (7, 8))
    texts = [seven] * short + [eight]
    gained = rate(Fixed(6), texts, CHEAP) / rate(Fixed(LONGEST), texts, CHEAP)
    assert (1 < gained < 1 + KNOWN_TO) if steady == LONGEST else gained > 1 + KNOWN_TO
    assert max(range(1, LONGEST + 1), key=lambda length: rate(Fixed(length), texts, CHEAP)) == 6
    assert fit_all(texts, CHEAP, LONGEST)[2]["steady"] == steady


def turns():
    """Rounds of a drafter that knows when it is right: every other one stands as a whole, the others fall at once."""
    return [[20 + 9 * turn, *((LONGEST, [0.97] * LONGEST) if turn % 2 else (0, [0.1] * LONGEST))] for turn in range(10)]


def test_goodput_looks_at_no_draft_where_a_look_costs_more_than_it_spares():
    texts = [Text.of(turns(), LONGEST)] * 6
    blind = fit_all(texts, replace(CHEAP, look=3 * CHEAP.step), LONGEST)[2]
    best = max(range(1, LONGEST + 1), key=lambda length: rate(Fixed(length), texts, CHEAP))
    assert blind == {"policy": "goodput", "drafts": True, "steady": best}
    policy = load(blind)
    assert policy.name == "goodput" and not policy.watches and policy.most(99) == best
    assert "steady" not in fit_all(texts, CHEAP, LONGEST)[2]


@settings(max_examples=25)
@given(seed=st.integers(0, 999), agreement=st.floats(0.3, 0.97), look=st.floats(0, 3))
def test_goodput_looks_at_drafts_just_where_that_gives_surely_more_than_its_best_length(seed, agreement, look):
    texts, costs = texts_of(seed, agreement=agreement, honest=True), replace(CHEAP, look=look * CHEAP.step)
    fitted = fit_all(texts, costs, LONGEST)[2]
    steady = {length: rate(Fixed(length), texts, costs) for length in range(1, LONGEST + 1)}
    best = max(steady, key=steady.__getitem__)
    if steady[best] <= steady[LONGEST] * (1 + KNOWN_TO):
        best = LONGEST
    if "steady" in fitted:
        assert fitted["steady"] == best
    elif fitted["drafts"]:
        assert rate(load(fitted), texts, costs) > steady[best] * (1 + KNOWN_TO)


def test_goodput_is_plain_decoding_where_drafting_gains_less_than_costs_are_known_to():
    """Texts of three tokens, which one draft a round gives in two rounds."""
    texts = [Text.of([[20, 1, [0.9]], [22, 1, [0.9]]], 1, ends_in_draft=True)] * 20
    for gained in (1.01, 1.04):
        round_ = 3.0 / gained / 2
        costs = Costs(1.0, 0.2, (1.0, round_ - 0.2))
        assert rate(Fixed(1), texts, costs) == pytest.approx(gained)
        assert fit_all(texts, costs, 1)[2]["drafts"] == (gained > 1.02)


@settings(max_examples=25)
@given(seed=st.integers(0, 999), agreement=st.floats(0.1, 0.97))
def test_goodput_is_plain_decoding_where_drafting_would_lose(seed, agreement):
    fitted = fit_all(texts_of(seed, agreement=agreement), DEAR, LONGEST)[2]
    assert fitted["drafts"] is False and load(fitted) is None


def test_goodput_drafts_less_after_drafts_that_fell():
    policy = Goodput(LONGEST, CHEAP, Calibration(0.0, 1.0, 0.0, (0.8, 0.9)), 1500)

    def drafted_at(confidence):
        return next((count for count in range(policy.most(30)) if not (policy.goes_on() and policy.wants(confidence))), LONGEST)

    policy.start()
    before = drafted_at(0.8)
    for _ in range(20):
        policy.most(30)
        assert policy.wants(0.95)
        policy.learn(1, 0)
    assert drafted_at(0.8) < before
    policy.start()
    assert drafted_at(0.8) == before  # what one text taught is no other text's


def test_goodput_does_not_draft_what_it_would_drop():
    """Where no draft can be sure enough, guessing one costs a step for nothing."""
    dear = Costs(0.002, 0.0001, (0.002, 0.0035, 0.005))
    policy = Goodput(2, dear, Calibration(0.0, 1.0, 0.0, (0.3, 0.6)), 500)
    policy.start()
    assert policy.most(30) == 2 and not policy.goes_on()


def test_goodput_is_the_best_stopping_rule_of_a_small_world():
    """Two kinds of drafts, chances known: against every rule 'verify at most a drafts while all are sure, b once one was not'."""
    costs, rng = Costs(0.002, 0.0004, tuple(0.002 + 0.0002 * more for more in range(LONGEST + 1))), random.Random(3)
    rounds = []
    for _ in range(400):
        sure = [0.95 if rng.random() < 0.7 else 0.3 for _ in range(LONGEST)]
        rounds.append([20, next((place for place, chance in enumerate(sure) if rng.random() > chance), LONGEST), sure])
    texts = [Text.of([one], LONGEST) for one in rounds]

    def reached(rule):
        tokens = seconds = 0
        for _, accepted, sure in rounds:
            kept = next((place for place in range(LONGEST) if not rule(sure[: place + 1])), LONGEST)
            tokens += min(accepted, kept) + 1
            seconds += costs.passes[kept] + min(kept + 1, LONGEST) * costs.step
        return tokens / seconds

    best = max(reached(lambda seen, a=a, b=b: len(seen) <= (a if min(seen) > 0.5 else b)) for a, b in product(range(LONGEST + 1), repeat=2))
    fitted = load(fit_all(texts, costs, LONGEST)[2])
    assert rate(fitted, texts, costs) >= 0.98 * best


def test_calibration_recovers_the_chances_that_made_the_drafts():
    rng = np.random.default_rng(1)
    confidences, contexts = rng.uniform(0.05, 0.95, 20000), rng.integers(10, 200, 20000)
    true = Calibration(0.4, 0.7, -0.5, ())
    stood = rng.random(20000) < [true.chance(p, n) for p, n in zip(confidences, contexts, strict=True)]
    found = Calibration.fit(confidences.tolist(), contexts.tolist(), stood.tolist())
    for confidence, context in product((0.1, 0.5, 0.9), (20, 100, 180)):
        assert found.chance(confidence, context) == pytest.approx(true.chance(confidence, context), abs=0.03)
    assert np.mean(found.chances) == pytest.approx(stood.mean(), abs=0.01)


def test_one_draft_fits():
    assert 0 < Calibration.fit([1.0], [5], [True]).chance(1.0, 5) < 1


@pytest.fixture
def watched(tmp_path, checkpoint):
    manifest = tmp_path / "scenes-caption.jsonl"
    write_manifest(manifest, [*tiny.examples(3, "validation"), *tiny.examples(2, "test")])
    knobs = {"method": "ssd", "device": "cpu", "dtype": "float32", "exit_layers": [1, 2], "longest_draft": 2, "threads": 1}
    observe(knobs | {"max_new_tokens": [12], "sampling": None}, checkpoint, [manifest], [], tmp_path / "seen.jsonl")
    return tmp_path / "seen.jsonl"


def test_validation_alone_is_observed(watched):
    rows = read_rows(watched)
    validation: list[Example] = tiny.examples(3, "validation")
    assert [(row["example"], row["exit_layer"]) for row in rows] == [(one.id, layer) for one in validation for layer in (1, 2)]
    for row in rows:
        for _, accepted, confidences in row["rounds"]:
            assert accepted <= len(confidences) <= 2 and all(0 < chance <= 1 for chance in confidences)


def test_every_dataset_gets_its_policies(tmp_path, watched):
    costs = [row for dataset in ("scenes-caption", "other") for row in cost_rows(dataset=dataset)]
    costs += [row | {"exit_layer": layer} for row in costs if row["method"] == "ssd" for layer in (1, 2)]
    write_rows(tmp_path / "cost.jsonl", costs)
    knobs = {"method": "ssd", "datasets": ["scenes-caption", "other"], "exit_layers": [1, 2], "longest_draft": 2}
    fit(knobs, watched, tmp_path / "cost.jsonl", tmp_path / "fitted.json")
    fitted = json.loads((tmp_path / "fitted.json").read_text())
    names = ("confidence", "context", "goodput")
    expected = [(dataset, layer, name) for layer in (1, 2) for dataset in ("scenes-caption", "other") for name in names]
    assert [(one["dataset"], one["exit_layer"], one["policy"]) for one in fitted] == expected
    knobs["exit_layers"] = [3]
    with pytest.raises(UserError, match="nothing at exit layer 3; policies need a dataset with validation examples"):
        fit(knobs, watched, tmp_path / "cost.jsonl", tmp_path / "fitted.json")
