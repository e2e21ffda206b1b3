"""The tables of the quality stage: each task its scores, each setting a line, and nothing from fewer examples than it says."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice

import pytest

from fastvlm.data.example import Example, write_manifest
from fastvlm.data.scene_tasks import examples as drawn
from fastvlm.errors import UserError
from fastvlm.metrics import captions, change, scores
from fastvlm.metrics.chance import blind_texts
from fastvlm.metrics.quality import COLUMNS, score
from fastvlm.metrics.ranking import chance
from fastvlm.metrics.vqa import accuracy
from fastvlm.rows import read_rows, write_rows
from fastvlm.table_file import read_table
from tests.rows_factory import write_decode_files

KNOBS = {"seed": 1, "resamples": 50, "confidence": 0.95}
TAGS = (("in-domain",), ("near-domain",), ("in-domain", "near-domain"))


def manifest(path, told):
    """Examples with the ids that made-up decode rows have."""
    numbered = {split: [example for example in told if example.split == split] for split in ("train", "test")}
    write_manifest(path, [replace(e, id=f"{split}-{n}") for split, of in numbered.items() for n, e in enumerate(of)])
    return path


def captioned(path, examples=6, **fields):
    rng = random.Random(0)
    words = ("a", "small", "red", "circle", "at", "the", "top", "big")
    told = [
        Example("", "test", "caption", "Describe.", tuple(" ".join(rng.choices(words, k=7)) for _ in range(3)), "", tags=TAGS[n % 3])
        for n in range(examples)
    ]
    return manifest(path, [replace(example, **fields) for example in told])


def drawn_manifest(path, task, train=20, test=6):
    return manifest(path, [*islice(drawn("d", task, "train", 1), train), *islice(drawn("d", task, "test", 1), test)])


def tables(folder):
    return {name: read_table(folder / f"{name}.csv", *columns) for name, columns in COLUMNS.items()}


@pytest.fixture
def scored_by_length(monkeypatch):
    """Caption metrics without Java: BLEU-1 is the length of the first text. Returns the sets that were asked for."""
    asked = []

    def coco(references, sets):
        asked.extend((name, texts, references[name]) for name, texts in sets)
        return [captions.Scored({"bleu_1": len(texts[0][1]) / 100}, {}) for _, texts in sets]

    monkeypatch.setattr(captions, "coco", coco)
    monkeypatch.setattr(scores, "intervals", lambda statistics, weights, confidence: {"cider_low": weights.sum()})
    return asked


def test_a_line_a_setting_and_equal_texts_are_scored_once(tmp_path, scored_by_length):
    paths = write_decode_files(tmp_path)
    write_rows(paths[1], [row | {"text": "Another text."} for row in read_rows(paths[1])])
    score(KNOBS, paths, [captioned(tmp_path / "scenes-caption.jsonl")], [], tmp_path)
    found = tables(tmp_path)
    assert [texts[0][1] for _, texts, _ in scored_by_length[:2]] == ["A small red circle at the top.", "Another text."]
    assert len(scored_by_length) == 2 + 2 * 2
    assert len(found["quality"]) == 18
    assert {record["method"] for record in found["quality"] if record["bleu_1"] == 0.13} == {"generate"}
    for record in found["quality"]:
        assert (record["examples"], record["cider_low"], record["task"]) == (6, 6 * KNOBS["resamples"], "caption")
        assert record["spice"] is record["vqa_accuracy"] is record["answer_right"] is None
        assert record["token_f1_low"] <= record["token_f1"] <= record["token_f1_high"]
    assert found["ranking"] == found["chance"] == []


def test_only_what_may_say_something_else_has_a_change_whether_texts_are_drawn_or_not(tmp_path, scored_by_length, monkeypatch):
    monkeypatch.setattr(change, "CHANGING", ("ssd",))
    path = drawn_manifest(tmp_path / "scenes-vqa.jsonl", "vqa")
    score(KNOBS, write_decode_files(tmp_path, dataset="scenes-vqa", equal_to_baseline=None), [path], [], tmp_path)
    lines = tables(tmp_path)["quality_change"]
    assert {(line["method"], line["claim"], line["equal_to_original"]) for line in lines} == {("ssd", "equal in distribution", 1)}
    assert len(lines) == 8


def test_a_tag_s_line_is_of_the_examples_that_have_it(tmp_path, scored_by_length):
    paths = write_decode_files(tmp_path)
    write_rows(paths[1], [row | {"text": "Another text."} for row in read_rows(paths[1])])
    score(KNOBS, paths, [captioned(tmp_path / "scenes-caption.jsonl")], [], tmp_path)
    lines = [(r["method"], r["exit_layer"], r["tag"], r["examples"]) for r in tables(tmp_path)["quality_by_tag"]]
    assert lines == [(method, None, tag, 4) for method in ("baseline", "generate") for tag in ("in-domain", "near-domain")]
    parts = {tuple(key for key, _ in texts) for _, texts, _ in scored_by_length}
    assert ("test-0", "test-2", "test-3", "test-5") in parts


def test_words_for_an_answer_get_no_caption_metric(tmp_path, scored_by_length):
    paths = write_decode_files(tmp_path, methods=("baseline",), dataset="scenes-vqa", text="Yes.")
    path = drawn_manifest(tmp_path / "scenes-vqa.jsonl", "vqa")
    score(KNOBS, paths, [path], [], tmp_path)
    found = tables(tmp_path)
    [record] = found["quality"]
    test = [row for row in read_rows(path) if row["split"] == "test"]
    assert not scored_by_length
    assert record["vqa_accuracy"] == pytest.approx(sum(accuracy("Yes.", row["references"]) for row in test) / 6, rel=1e-5)
    assert record["answer_right"] == pytest.approx(sum(row["answer"] == "yes" for row in test) / 6, rel=1e-5)
    assert (record["answers"], record["bleu_1"], record["cider"]) == (6, None, None)
    [blind] = found["chance"]
    assert blind["dataset"] == "scenes-vqa"
    assert (blind["answers"], blind["mentions"], blind["vqa_accuracy"] < 0.9) == (6, None, True)


def test_a_mark_between_elements_of_an_answer_is_no_word(tmp_path, scored_by_length):
    path = captioned(tmp_path / "scenes-caption.jsonl", references=("red<AND>small",))
    score(KNOBS, write_decode_files(tmp_path, methods=("baseline",)), [path], [], tmp_path)
    assert {text for _, _, references in scored_by_length for texts in references.values() for text in texts} == {"red small"}


def test_answers_counted_are_those_whose_fact_is_known(tmp_path, scored_by_length):
    path = captioned(tmp_path / "scenes-caption.jsonl")
    rows = read_rows(path)
    write_rows(path, [row | {"answer": "red" if n < 2 else "blue" if n < 3 else ""} for n, row in enumerate(rows)])
    score(KNOBS, write_decode_files(tmp_path, methods=("baseline",)), [path], [], tmp_path)
    [record] = tables(tmp_path)["quality"]
    assert (record["answers"], record["answer_right"]) == (3, pytest.approx(2 / 3, rel=1e-5))


def test_real_scores(tmp_path):
    paths = write_decode_files(tmp_path, methods=("baseline", "generate"))
    score(KNOBS, paths, [drawn_manifest(tmp_path / "scenes-caption.jsonl", "caption")], [], tmp_path)
    found = tables(tmp_path)
    baseline, generate = found["quality"]
    metrics = captions.METRICS[:7]
    assert [baseline[name] for name in metrics] == [generate[name] for name in metrics]
    for name in metrics:
        assert baseline[f"{name}_low"] <= baseline[name] <= baseline[f"{name}_high"]
    [blind] = found["chance"]
    assert 0 < blind["bleu_1"] < 1
    assert blind["texts_all_right"] < 6 <= blind["mentions"]


def test_a_blind_speaker_says_what_was_said_of_another_picture_to_the_same_question(tmp_path):
    path = drawn_manifest(tmp_path / "q.jsonl", "vqa", train=200, test=20)
    rows = read_rows(path)
    said = {row["prompt"]: set() for row in rows}
    for row in rows:
        said[row["prompt"]].update(row["references"] if row["split"] == "train" else ())
    test = {row["id"]: row for row in rows if row["split"] == "test"}
    blind = blind_texts(path, 1)
    assert [key for key, _ in blind] == list(test)
    assert all(text in said[test[key]["prompt"]] for key, text in blind if said[test[key]["prompt"]])
    assert sum(bool(said[row["prompt"]]) for row in test.values()) > 10
    assert blind == blind_texts(path, 1) != blind_texts(path, 2)


def test_without_train_pictures_it_speaks_of_other_test_pictures(tmp_path):
    path = drawn_manifest(tmp_path / "n.jsonl", "novel", train=0, test=2)
    first, second = (row["references"] for row in read_rows(path))
    (_, said_of_first), (_, said_of_second) = blind_texts(path, 1)
    assert said_of_first in second
    assert said_of_second in first
    with pytest.raises(UserError, match="no other picture to say something blind of"):
        blind_texts(drawn_manifest(tmp_path / "one.jsonl", "novel", train=0, test=1), 1)


def test_photographs_have_no_blind_speaker(tmp_path):
    assert blind_texts(captioned(tmp_path / "photos.jsonl"), 1) == ()


def ranked(path, output, drop=0):
    """Rows of the rank stage in which the human answer is first in one round, second in the next and so on."""
    rounds = [row for row in read_rows(path) if row["split"] == "test"]
    key = {"model": "llava-small", "dataset": path.stem, "tags": [], "candidates": 4, "ndcg": None}
    write_rows(output, [key | {"example": row["id"], "rank": n % 4 + 1} for n, row in enumerate(rounds[drop:])])
    return output


def test_ranking_beside_what_chance_would_rank(tmp_path, scored_by_length):
    path = drawn_manifest(tmp_path / "scenes-dialogue.jsonl", "dialogue", train=4, test=4)
    paths = write_decode_files(tmp_path, 4, methods=("baseline",), dataset="scenes-dialogue")
    score(KNOBS, paths, [path], [ranked(path, tmp_path / "rank.jsonl")], tmp_path)
    [record] = tables(tmp_path)["ranking"]
    assert (record["experiment"], record["model"], record["examples"], record["rounds"]) == ("scenes", "llava-small", 4, 4)
    assert (record["dense_rounds"], record["ndcg"]) == (0, None)
    assert (record["mean_rank"], record["chance_mean_rank"]) == (2.5, 2.5)
    assert record["mrr"] == record["chance_mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4, rel=1e-5)
    with pytest.raises(UserError, match="3 rounds ranked, 4 with candidates in the manifest's test split"):
        score(KNOBS, paths, [path], [ranked(path, tmp_path / "rank.jsonl", drop=1)], tmp_path)
    with pytest.raises(UserError, match=r"absent.jsonl: no such file"):
        score(KNOBS, paths, [path], [tmp_path / "absent.jsonl"], tmp_path)


def test_chance_of_a_hundred_candidates():
    expected = {"chance_mrr": sum(1 / rank for rank in range(1, 101)) / 100, "chance_r_at_1": 0.01, "chance_mean_rank": 50.5}
    assert chance([100, 100]) == pytest.approx(expected)
    assert chance([1, 3])["chance_mean_rank"] == 1.5


@pytest.mark.parametrize("examples", [5, 7])
def test_other_examples_than_the_manifest_has_are_refused(tmp_path, examples):
    path = captioned(tmp_path / "scenes-caption.jsonl", examples)
    with pytest.raises(UserError, match=rf"baseline: 6 examples decoded, {examples} in the manifest's test split: example 'test-"):
        score(KNOBS, write_decode_files(tmp_path), [path], [], tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
