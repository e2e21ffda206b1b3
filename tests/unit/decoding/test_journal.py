"""A journal says what was finished, whatever happened to the process that wrote it, and nothing else."""

from __future__ import annotations

import pytest

from fastvlm.decoding.journal import Journal
from fastvlm.errors import UserError

MACHINE = {"cpu": "any"}


def rows(example, split="test"):
    return [{"split": split, "example": example, "text": f"one\u2028two\r\n{k}", "seconds": 0.1 + 0.2} for k in range(2)]


def write(path, *examples):
    journal = Journal(path)
    for example in examples:
        journal.add(MACHINE, rows(example))
    return path


def examples(path, *neighbours):
    return [example for _, example in Journal(path, neighbours).finished]


def test_what_was_added_is_found_again(tmp_path):
    path = write(tmp_path / "a.journal", "1", "2")
    found = Journal(path).finished
    assert found == {("test", name): {"machine": MACHINE, "rows": rows(name)} for name in "12"}


def test_cut_off_anywhere_the_last_line_is_dropped_and_said(tmp_path, capsys):
    path = write(tmp_path / "a.journal", "1")
    first = path.stat().st_size
    whole = write(path, "2").read_bytes()
    for end in range(first + 1, len(whole)):
        path.write_bytes(whole[:end])
        assert examples(path) == ["1"]
        assert "the last line was cut off and is dropped" in capsys.readouterr().err
        assert path.stat().st_size == first
    Journal(path).add(MACHINE, rows("2"))
    assert path.read_bytes() == whole and capsys.readouterr().err == ""


def test_a_disk_that_wrote_noughts_or_noise_at_the_end_counts_as_cut_off(tmp_path):
    path = write(tmp_path / "a.journal", "1", "2")
    whole = path.read_bytes()
    for noise in (b"\0" * 50, b"\r\x0b\r", whole[:-5] + b"xxxx\n"):
        start = whole if noise[:1] != whole[:1] else b""
        path.write_bytes(start + noise)
        assert examples(path) == (["1", "2"] if start else ["1"])


def test_a_damaged_line_in_the_middle_is_refused_and_left_as_it_is(tmp_path):
    path = write(tmp_path / "a.journal", "1", "2", "3")
    damaged = path.read_bytes().replace(b'"example": "2"', b'"example": "9"')
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"a\.journal: line 2 is damaged; delete the file, and what it holds is decoded again"):
        Journal(path)
    assert path.read_bytes() == damaged


def test_an_example_that_stands_twice_counts_once(tmp_path):
    assert examples(write(tmp_path / "a.journal", "1", "1", "2")) == ["1", "2"]


def test_what_neighbours_finished_counts_and_their_torn_ends_are_left_alone(tmp_path):
    other = write(tmp_path / "b.journal", "1", "2")
    other.write_bytes(other.read_bytes()[:-3])
    before = other.read_bytes()
    path = write(tmp_path / "a.journal", "3")
    assert examples(path, other) == ["1", "3"]
    assert other.read_bytes() == before
