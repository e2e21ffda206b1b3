"""A folder of one's own: read as it is, or refused with one line that names file and record."""

from __future__ import annotations

import pytest

from fastvlm.data.benchmarks import read_examples
from fastvlm.data.example import hash_pixels
from fastvlm.data.pictures import open_image
from fastvlm.errors import UserError
from tests.captioned_folder import KNOBS, content, write_folder


def read(folder, **knobs):
    return list(read_examples("own", {**KNOBS, "folder": str(folder), **knobs}, seed=1, manifest=folder.with_name("own.jsonl")))


def test_images_become_examples_in_order(tmp_path):
    examples = read(write_folder(tmp_path / "own", content()))
    assert [example.id for example in examples if example.split == "train"] == ["own-0", "own-1", "own-2", "own-5", "own-6", "own-7"]
    assert [example.id for example in examples if example.split == "validation"] == ["own-3", "own-8"]
    first = examples[0]
    assert first.references == ("a picture of 0", "a picture with 0")
    assert first.prompt == "Describe the image in one sentence."
    assert first.sha256 == hash_pixels(open_image(tmp_path / "own/images/0.png")) == hash_pixels(first.pixels())


def test_limits(tmp_path):
    examples = read(write_folder(tmp_path / "own", content()), train=4, test=1)
    assert [sum(example.split == split for example in examples) for split in ("train", "validation", "test")] == [4, 2, 1]


def test_file_without_splits(tmp_path):
    captions = content()
    for image in captions["images"]:
        del image["split"]
    # Ids whose hashes fall into all three splits.
    assert {example.split for example in read(write_folder(tmp_path / "own", captions))} == {"train", "validation", "test"}


def test_a_changed_image_is_noticed(tmp_path):
    folder = write_folder(tmp_path / "own", content())
    example = read(folder)[0]
    (folder / "images/1.png").replace(folder / "images/0.png")
    with pytest.raises(UserError, match=r"0\.png: pixels differ from the manifest"):
        example.pixels()


def drop(*path):
    def change(captions):
        *groups, key = path
        for part in groups:
            captions = captions[part]
        del captions[key]

    return change


def put(*path):
    *groups, key, value = path

    def change(captions):
        for part in groups:
            captions = captions[part]
        captions[key] = value

    return change


def all_train(captions):
    for image in captions["images"]:
        image["split"] = "train"


BAD_CONTENT = [
    (drop("images"), "captions.json: key 'images': missing or empty, expected a list of records"),
    (put("annotations", {}), "captions.json: key 'annotations': missing or empty, expected a list"),
    (put("annotations", "x"), "captions.json: key 'annotations': found str, expected a list"),
    (put("images", 3, "x"), "captions.json: images[3]: found str, expected a record with the key 'id'"),
    (drop("images", 3, "file_name"), "captions.json: images[3].file_name: missing, expected text"),
    (put("images", 3, "id", 2.5), "captions.json: images[3].id: found float, expected a number or text"),
    (put("images", 3, "id", 2), "captions.json: images[3].id: 2 occurs twice, expected each id once"),
    (drop("images", 3, "split"), "captions.json: images[3].split: missing, expected text"),
    (put("images", 3, "split", "dev"), "captions.json: images[3].split: found 'dev', expected a word that begins with train,"),
    (drop("annotations", 4, "image_id"), "captions.json: annotations[4].image_id: missing, expected a number or text"),
    (put("annotations", 4, "image_id", 99), "captions.json: annotations[4].image_id: 99 names no image, expected the id"),
    (put("annotations", 4, "caption", "  "), "captions.json: annotations[4].caption: empty, expected text (image id 2)"),
    (drop("annotations", slice(4, 6)), "captions.json: image 2.png (id 2) has no caption; expected at least one annotation"),
    (put("images", 3, "file_name", "no.png"), "no.png: no such file; "),
    (put("images", 3, "file_name", "no.png"), "captions.json names 10 images that are needed, and 1 of them are not there"),
    (all_train, "captions.json: no image for the split 'test' of dataset 'own', expected at least one"),
]


@pytest.mark.parametrize(("change", "line"), BAD_CONTENT, ids=[line[:60] for _, line in BAD_CONTENT])
def test_bad_captions_are_named_in_one_line(tmp_path, change, line):
    captions = content()
    change(captions)
    refused(write_folder(tmp_path / "own", captions), line)


@pytest.mark.parametrize(
    ("text", "line"), [("{", "captions.json: not JSON ("), ("[]", "captions.json: found a list at the top, expected {")]
)
def test_file_of_another_shape(tmp_path, text, line):
    refused(write_folder(tmp_path / "own", text), line)


def test_missing_folder(tmp_path):
    refused(tmp_path / "nowhere", "nowhere: no such folder; expected a folder with a captions file and images")


def test_missing_captions_file(tmp_path):
    folder = write_folder(tmp_path / "own", content())
    (folder / "captions.json").unlink()
    refused(folder, "captions.json: no such file; expected a captions file")


@pytest.mark.parametrize("exists", [True, False])
def test_missing_or_empty_image_folder(tmp_path, exists):
    folder = write_folder(tmp_path / "own", content())
    (folder / "images").rename(tmp_path / "elsewhere")
    if exists:
        (folder / "images").mkdir()
    refused(folder, "images: empty; expected the images" if exists else "images: no such folder; expected the images")


def test_image_that_does_not_decode(tmp_path):
    folder = write_folder(tmp_path / "own", content())
    (folder / "images/5.png").write_bytes(b"not a picture")
    refused(folder, "5.png: not an image that can be decoded")


def refused(folder, line):
    with pytest.raises(UserError) as error:
        read(folder)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
