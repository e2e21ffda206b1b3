"""NoCaps: domains as the file has them, captions in any script, one published split."""

from __future__ import annotations

import json

import pytest

from tests.official_files import GREEK, HAN, nocaps, read, refused, write

KNOBS = {"benchmark": "nocaps", "captions": "nocaps_val_4500_captions.json", "images": "images"}


def folder(tmp_path, content=None):
    names = [f"images/{image['file_name']}" for image in nocaps()["images"]]
    return write(tmp_path / "own", {"nocaps_val_4500_captions.json": content or nocaps()}, names)


def test_domains_and_references(tmp_path):
    examples = read(folder(tmp_path), **KNOBS)
    assert [example.tags for example in examples] == [("in-domain",), ("near-domain",), ("out-domain",)] * 2
    assert all(len(example.references) == 10 and example.task == "caption" and example.split == "test" for example in examples)


def test_other_scripts_stay_as_they_are(tmp_path):
    assert read(folder(tmp_path), **KNOBS)[0].references[:2] == (GREEK, HAN)


def test_what_is_held_out_is_not_in_test_and_what_was_drawn_is_recorded(tmp_path):
    own = folder(tmp_path)
    examples = read(own, **KNOBS | {"validation": 2, "train": 1, "test": 2})
    by_split = {split: {example.id for example in examples if example.split == split} for split in ("train", "validation", "test")}
    assert [len(ids) for ids in by_split.values()] == [1, 2, 2] and len(set.union(*by_split.values())) == 5
    record = json.loads((own / "own.source.json").read_text())
    assert record["of"] == {"train": 1, "validation": 2, "test": 3} and record["drawn"] == {"train": 1, "validation": 2, "test": 2}
    assert (record["seed"], record["rows"], record["benchmark"]) == (1, 6, "nocaps")


def test_nothing_left_for_test(tmp_path):
    refused(folder(tmp_path), "no image for the split 'test' of dataset 'own', expected at least one", **KNOBS | {"validation": 6})


@pytest.mark.parametrize("value", ["", None, 1])
def test_an_image_without_a_domain(tmp_path, value):
    content = nocaps()
    content["images"][4]["domain"] = value
    refused(folder(tmp_path, content), "no 'domain' for 1 of 6 images, such as id 4; expected in-domain or like it", **KNOBS)


def test_the_file_without_captions(tmp_path):
    content = nocaps() | {"annotations": []}
    refused(folder(tmp_path, content), "nocaps_val_4500_captions.json: key 'annotations': missing or empty", **KNOBS)
