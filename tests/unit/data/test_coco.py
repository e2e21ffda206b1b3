"""Karpathy's file: whose split is test, that it is his, and where its images lie."""

from __future__ import annotations

import pytest

from fastvlm.data import coco
from tests.official_files import karpathy, read, refused, write

KNOBS = {"benchmark": "coco", "karpathy": "dataset_coco.json", "images": "coco", "train": None, "validation": None}


@pytest.fixture(autouse=True)
def six_test_images(monkeypatch):
    monkeypatch.setattr(coco, "TEST_IMAGES", 6)


def folder(tmp_path, content=None):
    content = content or karpathy()
    names = [f"coco/{image['filepath']}/{image['filename']}" for image in karpathy()["images"]]
    return write(tmp_path / "own", {"dataset_coco.json": content}, names)


def test_splits_are_karpathys_and_restval_is_training(tmp_path):
    examples = read(folder(tmp_path), **KNOBS)
    assert [example.id for example in examples if example.split == "train"] == ["own-100", "own-101", "own-102", "own-103"]
    assert [example.id for example in examples if example.split == "validation"] == ["own-104", "own-105"]
    assert [example.id for example in examples if example.split == "test"] == [f"own-{n}" for n in range(106, 112)]


def test_an_example(tmp_path):
    example = read(folder(tmp_path), **KNOBS)[0]
    assert example.references == tuple(f"Caption {n} of 100." for n in range(5))
    assert (example.task, example.prompt) == ("caption", "Describe the image in one sentence.")
    assert example.image.endswith("own/coco/train2014/COCO_train2014_000000000100.jpg")
    assert example.pixels().size == (8, 6)


def test_no_training_and_no_validation(tmp_path):
    assert {example.split for example in read(folder(tmp_path), **KNOBS | {"train": 0, "validation": 0})} == {"test"}


def change(key, value, number=-1):
    content = karpathy()
    content["images"][number][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (karpathy(5), "dataset_coco.json: 5 different images in test, expected Karpathy's 6"),
        (karpathy(7), "dataset_coco.json: 7 different images in test, expected Karpathy's 6"),
        (change("cocoid", 110), "dataset_coco.json: id 110 occurs twice, expected each id once"),
        (change("cocoid", 99), "test image 99 is val2014/COCO_val2014_000000000111.jpg, expected COCO_val2014_000000000099.jpg"),
        (change("filename", "000000000111.jpg"), "test image 111 is val2014/000000000111.jpg, expected COCO_val2014_000000000111.jpg"),
        (change("split", "dev"), "images[11].split: found 'dev', expected a word that begins with train, restval, val, test"),
        (change("sentences", []), "images[11]: no reference; expected one or more texts"),
        (change("sentences", [{"raw": " "}]), "images[11].raw: empty, expected text"),
        (change("sentences", [{}]), "images[11].raw: missing, expected text"),
        (change("cocoid", "111"), "images[11].cocoid: found str, expected a number"),
        ({"annotations": []}, "dataset_coco.json.images: missing, expected a list"),
    ],
)
def test_what_is_not_karpathys_is_named(tmp_path, content, line):
    refused(folder(tmp_path, content), line, **KNOBS)


def test_images_that_are_not_there_are_counted(tmp_path):
    own = folder(tmp_path)
    for number in (106, 107):
        (own / f"coco/val2014/COCO_val2014_{number:012d}.jpg").unlink()
    line = "COCO_val2014_000000000106.jpg: no such file; "
    refused(own, line, **KNOBS)
    refused(own, "dataset_coco.json names 12 images that are needed, and 2 of them are not there", **KNOBS)
    assert not list(own.glob("*.source.json"))


def test_all_five_thousand_are_wanted_where_no_limit_is_set(tmp_path, monkeypatch):
    monkeypatch.undo()
    own = write(tmp_path / "own", {"dataset_coco.json": karpathy(5000)})
    refused(own, "names 5000 images that are needed, and 5000 of them are not there", **KNOBS | {"train": 0, "validation": 0})
    own = write(tmp_path / "other", {"dataset_coco.json": karpathy(4999)})
    refused(own, "4999 different images in test, expected Karpathy's 5000", **KNOBS)
