"""Manifests of drawn scenes: reproducible, paired with their pictures, with splits that share nothing."""

from __future__ import annotations

from fastvlm.data.dataset import build_manifest
from fastvlm.data.example import read_manifest
from fastvlm.data.scenes import Scene
from tests.captioned_folder import KNOBS, content, write_folder

SCENES = {"source": "scenes", "task": "caption", "train": 30, "validation": 5, "test": 7}


def manifest(tmp_path, seed=1, name="scenes-caption", **knobs):
    path = tmp_path / f"{name}-{seed}-{len(list(tmp_path.iterdir()))}.jsonl"
    build_manifest(name, {**SCENES, **knobs}, seed, path)
    return path


def test_counts_ids_and_references(tmp_path):
    path = manifest(tmp_path)
    assert [len(read_manifest(path, split)) for split in ("train", "validation", "test")] == [30, 5, 7]
    example = read_manifest(path, "test")[3]
    assert example.id == "scenes-caption-test-000003"
    assert len(example.references) == 5
    assert len(Scene.from_dict(example.scene).things) in (1, 2)
    assert example.pixels().size == (48, 48)


def test_same_seed_same_bytes_other_seed_other_scenes(tmp_path):
    assert manifest(tmp_path).read_bytes() == manifest(tmp_path).read_bytes()
    assert manifest(tmp_path).read_bytes() != manifest(tmp_path, seed=2).read_bytes()


def test_size_of_one_split_changes_no_other(tmp_path):
    assert read_manifest(manifest(tmp_path), "test") == read_manifest(manifest(tmp_path, train=40), "test")


def test_splits_share_no_picture_even_across_seeds(tmp_path):
    train = {example.sha256 for example in read_manifest(manifest(tmp_path, train=400), "train")}
    test = {example.sha256 for example in read_manifest(manifest(tmp_path, seed=2, test=400), "test")}
    assert not train & test


def test_files_source_writes_a_manifest_too(tmp_path):
    folder = write_folder(tmp_path / "own", content())
    build_manifest("own", {**KNOBS, "folder": str(folder)}, 1, tmp_path / "own.jsonl")
    assert len(read_manifest(tmp_path / "own.jsonl", "train")) == 6
