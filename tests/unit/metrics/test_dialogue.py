"""Metrics of ranked answers against the starter code's rules, written out one candidate at a time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.dialogue import ndcg, rank_of, summarise

SAMPLE = Path(__file__).parents[3] / "../shared/data/visdial-sample"
METRICS = ("mrr", "r_at_1", "r_at_5", "r_at_10", "mean_rank", "ndcg")
ROWS = [{"rank": rank, "ndcg": gain} for rank, gain in ((1, 0.5), (2, None), (6, 0.25), (20, None))]


def slow_order(scores, relevance):
    """Candidates from the best to the worst; among equals what is less relevant comes first."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], relevance[place]))


def slow_rank(scores, right):
    return 1 + slow_order(scores, [place == right for place in range(len(scores))]).index(right)


def slow_ndcg(scores, relevance):
    most = sum(1 for value in relevance if value != 0)

    def gain(order):
        return sum(relevance[place] / math.log2(rank + 1) for rank, place in enumerate(order[:most], start=1))

    return gain(slow_order(scores, relevance)) / gain(slow_order(relevance, relevance))


def slow_summary(ranks, gains):
    found = {"mrr": sum(1 / rank for rank in ranks), "mean_rank": sum(ranks)}
    found |= {f"r_at_{k}": sum(1 for rank in ranks if rank <= k) for k in (1, 5, 10)}
    return {name: total / len(ranks) for name, total in found.items()} | {"ndcg": sum(gains) / len(gains)}


def test_the_published_dialogues_with_random_scores():
    if not SAMPLE.is_dir():
        pytest.skip(f"needs {SAMPLE.name}, real dialogues that the project does not carry")
    dialogues = json.loads((SAMPLE / "visdial_1.0_val.json").read_text())["data"]["dialogs"]
    dense = json.loads((SAMPLE / "visdial_1.0_val_dense_annotations.json").read_text())
    judged = {(record["image_id"], record["round_id"]): record["gt_relevance"] for record in dense}
    rng = np.random.default_rng(0)
    rows, ranks, gains = [], [], []
    for dialogue in dialogues:
        for number, turn in enumerate(dialogue["dialog"], start=1):
            scores = rng.normal(size=len(turn["answer_options"])).round(1)  # with ties
            relevance = judged.get((dialogue["image_id"], number), [])
            rows.append({"rank": rank_of(scores, turn["gt_index"]), "ndcg": ndcg(scores, np.array(relevance))})
            ranks.append(slow_rank(scores.tolist(), turn["gt_index"]))
            gains += [slow_ndcg(scores.tolist(), relevance)] if relevance else []
    found = summarise(rows, resample(len(rows), 10, rng), 0.95)
    assert (found["rounds"], found["dense_rounds"]) == (len(ranks), len(dense)) == (10 * len(dialogues), len(gains))
    assert {name: found[name] for name in METRICS} == pytest.approx(slow_summary(ranks, gains), rel=0, abs=1e-12)


@st.composite
def judged_candidates(draw):
    """(scores, right, relevance), in few values, so that many are equal."""
    count = draw(st.integers(2, 12))
    values = {"scores": st.integers(-3, 0), "relevance": st.sampled_from([0, 0, 0.25, 0.5, 1])}
    lists = {name: draw(st.lists(value, min_size=count, max_size=count)) for name, value in values.items()}
    return np.array(lists["scores"], dtype=float), draw(st.integers(0, count - 1)), np.array(lists["relevance"], dtype=float)


@given(judged_candidates())
def test_ranks_and_gains_against_the_written_out_rules(drawn):
    scores, right, relevance = drawn
    assert rank_of(scores, right) == slow_rank(scores.tolist(), right)
    if relevance.any():
        assert ndcg(scores, relevance) == pytest.approx(slow_ndcg(scores.tolist(), relevance.tolist()), rel=0, abs=1e-12)
    else:
        assert ndcg(scores, relevance) is None


def test_equal_scores_count_against_the_model():
    assert rank_of(np.zeros(100), 0) == 100
    assert ndcg(np.zeros(3), np.array([1.0, 0.5, 0.0])) == pytest.approx((0.5 / math.log2(3)) / (1 + 0.5 / math.log2(3)))


def test_best_order_gains_one_and_only_the_first_k_count():
    relevance = np.array([0.2, 0.0, 1.0, 0.0])
    assert ndcg(relevance, relevance) == pytest.approx(1)
    assert ndcg(np.array([1.0, 4.0, 2.0, 3.0]), relevance) == 0


def test_summary_of_a_few_rounds():
    found = summarise(ROWS, resample(4, 500, np.random.default_rng(0)), 0.9)
    means = {"mrr": (1 + 1 / 2 + 1 / 6 + 1 / 20) / 4, "r_at_1": 0.25, "r_at_5": 0.5, "r_at_10": 0.75, "mean_rank": 7.25, "ndcg": 0.375}
    assert {name: found[name] for name in METRICS} == pytest.approx(means)
    assert (found["rounds"], found["dense_rounds"]) == (4, 2)
    assert all(found[f"{name}_low"] <= found[name] <= found[f"{name}_high"] for name in METRICS)
    assert found["mean_rank_low"] < found["mean_rank_high"] and (found["ndcg_low"], found["ndcg_high"]) == (0.25, 0.5)


def test_nothing_ranked_or_nothing_judged_has_no_score():
    nobody = [row | {"ndcg": None} for row in ROWS]
    found = summarise(nobody, resample(4, 10, np.random.default_rng(0)), 0.9)
    assert found["ndcg"] is None and found["mrr"] > 0 and found["dense_rounds"] == 0
    none = summarise([], np.zeros((10, 0)), 0.9)
    assert none["rounds"] == 0 and all(none[name] is none[f"{name}_low"] is None for name in METRICS)
