"""Which image goes where."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.data.splits import assign_splits, hold_out, limit, named_split


@pytest.mark.parametrize(
    ("word", "split"),
    [("train", "train"), ("train2017", "train"), ("restval", "train"), ("val2017", "validation"), ("test", "test"), ("dev", None)],
)
def test_words_of_captions_files(word, split):
    assert named_split(word) == split


def test_without_splits_a_tenth_each_by_hash_of_the_id():
    splits = assign_splits(dict.fromkeys(range(5000)), None)
    counts = Counter(splits.values())
    assert 420 <= counts["validation"] <= 580 and 420 <= counts["test"] <= 580
    fewer = assign_splits(dict.fromkeys(range(100)), None)
    assert all(splits[image] == split for image, split in fewer.items()), "an image's split depends on other images"


def test_val_becomes_test_and_validation_is_held_out_of_train():
    named = {**dict.fromkeys(range(100), "train"), **dict.fromkeys(range(100, 120), "validation")}
    splits = assign_splits(named, 7)
    assert Counter(splits.values()) == {"train": 93, "validation": 7, "test": 20}
    assert all(splits[image] == "test" for image in range(100, 120))
    assert splits == assign_splits(dict(reversed(named.items())), 7), "the file's order counts"


def test_a_tenth_is_held_out_where_no_number_is_given():
    named = {**dict.fromkeys(range(100), "train"), 100: "validation"}
    assert Counter(assign_splits(named, None).values())["validation"] == 10


def test_nothing_is_held_out_where_none_is_wanted():
    assert set(assign_splits({**dict.fromkeys(range(100), "train"), 100: "validation"}, 0).values()) == {"train", "test"}


@given(size=st.integers(0, 200), validation=st.integers(0, 60), train=st.integers(0, 60))
def test_what_is_held_out_of_one_published_split_is_disjoint_and_of_its_size(size, validation, train):
    counts = Counter(hold_out(range(size), validation, train).values())
    assert counts["validation"] == min(validation, size)
    assert counts["train"] == min(train, size - counts["validation"])
    assert counts.total() == size


def test_what_is_held_out_does_not_depend_on_order_and_grows_with_its_size():
    fewer, more = hold_out(range(100), 5, 5), hold_out(reversed(range(100)), 10, 0)
    assert fewer == hold_out(reversed(range(100)), 5, 5)
    held_out = [{image for image, split in splits.items() if split == "validation"} for splits in (fewer, more)]
    assert held_out[0] < held_out[1]


def test_three_named_splits_stand():
    named = {1: "train", 2: "validation", 3: "test"}
    assert assign_splits(named, 50) == named


def test_limits_take_a_sample_in_order_of_ids():
    splits = dict.fromkeys(range(100, 0, -1), "train")
    chosen = limit(splits, {"train": 10, "validation": None, "test": None}, seed=1)
    assert chosen["train"] == sorted(chosen["train"]) and len(chosen["train"]) == 10
    assert chosen["validation"] == []
    assert chosen != limit(splits, {"train": 10, "validation": None, "test": None}, seed=2)
    assert set(chosen["train"]) < set(limit(splits, {"train": 20, "validation": None, "test": None}, seed=1)["train"])
