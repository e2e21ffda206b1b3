"""Shards: what is decoded does not depend on how many there are, nor on which ends first."""

from __future__ import annotations

from collections import Counter

import pytest

from fastvlm.data.example import write_manifest
from fastvlm.decoding import run as stage
from fastvlm.decoding.merge import merge
from fastvlm.decoding.run import decode
from fastvlm.decoding.units import shard_of
from fastvlm.errors import UserError
from fastvlm.rows import read_rows, write_rows
from tests import tiny
from tests.unit.decoding.test_run import KNOBS

SSD = KNOBS | {"method": "ssd", "exit_layers": [1], "draft_lengths": [2], "splits": ["validation", "test"], "max_new_tokens": [4, 4]}
SSD |= {"repeats": [1, 1], "choose_on": 3}
MERGE = {name: SSD[name] for name in ("splits", "choose_on")}


@pytest.fixture(scope="module")
def manifests(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    paths = [folder / "many.jsonl", folder / "one.jsonl"]
    write_manifest(paths[0], [*tiny.examples(4, "validation"), *tiny.examples(7)])
    write_manifest(paths[1], tiny.examples(1))
    return paths


def decode_shards(folder, checkpoint, manifests, shards, order=None):
    parts = [folder / "parts" / str(shard) for shard in range(max(shards))]
    for shard in order or range(max(shards)):
        decode(SSD | {"shard": shard, "shards": shards}, checkpoint, manifests, [], parts[shard], journals=folder / ".journal")
    merge(MERGE, manifests, parts, folder / "rows")
    return [untimed(folder / "rows" / manifest.name) for manifest in manifests]


def untimed(path):
    return [[(key, value) for key, value in row.items() if not key.endswith("seconds")] for row in read_rows(path)]


def test_any_number_of_shards_in_any_order_gives_the_same_rows(tmp_path, checkpoint, manifests):
    decode(SSD | {"shards": [1, 1]}, checkpoint, manifests, [], tmp_path / "whole")
    expected = [untimed(tmp_path / "whole" / manifest.name) for manifest in manifests]
    assert [len(rows) for rows in expected] == [3 + 7, 1]
    assert decode_shards(tmp_path / "two", checkpoint, manifests, [2, 1], order=[1, 0]) == expected
    # More than there are examples: some shards are empty.
    assert decode_shards(tmp_path / "many", checkpoint, manifests, [9, 2]) == expected
    assert any(not (tmp_path / "many/parts" / str(shard) / "many.jsonl").read_text() for shard in range(9))
    assert (tmp_path / "many/rows/machines.json").read_bytes() == (tmp_path / "whole/machines.json").read_bytes()


def test_another_number_of_shards_decodes_nothing_again(tmp_path, checkpoint, manifests, monkeypatch):
    decode(SSD | {"shards": [1, 1]}, checkpoint, manifests, [], tmp_path / "whole", journals=tmp_path / ".journal")
    monkeypatch.setattr(stage, "compete", None)
    rows = decode_shards(tmp_path, checkpoint, manifests, [3, 3])
    assert rows == [untimed(tmp_path / "whole" / manifest.name) for manifest in manifests]


def test_which_shard_an_example_is_in_is_written_in_its_id():
    assert [shard_of(f"test-{index}", 4) for index in range(8)] == [1, 3, 1, 1, 2, 0, 3, 2]
    counts = Counter(shard_of(f"{index}", 4) for index in range(4000))
    assert set(counts) == {0, 1, 2, 3} and max(counts.values()) < 1100


def test_a_row_lost_or_in_two_shards_is_refused(tmp_path, checkpoint, manifests):
    decode_shards(tmp_path, checkpoint, manifests, [2, 1])
    parts = [tmp_path / "parts" / str(shard) for shard in range(2)]
    path = parts[1] / "many.jsonl"
    rows = read_rows(path)
    write_rows(path, rows[1:])
    with pytest.raises(UserError, match=f"no shard has rows of example '{rows[0]['example']}' of many; decode it again"):
        merge(MERGE, manifests, parts, tmp_path / "rows")
    other = read_rows(parts[0] / "many.jsonl")
    write_rows(path, [*rows, other[-1]])
    with pytest.raises(UserError, match=f"example '{other[-1]['example']}' stands in .*0/many.jsonl too; decode it again"):
        merge(MERGE, manifests, parts, tmp_path / "rows")
