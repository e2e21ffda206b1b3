"""A bar on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import pytest

from fastvlm import progress as module
from fastvlm.progress import progress


def test_items_come_through_and_the_end_is_said_once(capsys):
    assert list(progress(range(5), "counting")) == [0, 1, 2, 3, 4]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("counting: 100%") and "5/5" in lines[0]


def test_a_line_every_ten_seconds(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    list(progress(range(10), "slow"))
    # Items end at 4, 8, ... 40 seconds: lines after 12, 24 and 36, and one at the end.
    assert [line.split("|")[0].split()[1] for line in capsys.readouterr().err.splitlines()] == ["30%", "60%", "90%", "100%"]


def test_total_may_be_given_for_a_generator(capsys):
    list(progress(iter("abc"), "letters", total=3))
    assert "3/3" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    assert list(progress([1, 2], "bar")) == [1, 2]
    assert "\r" in capsys.readouterr().err


def test_an_error_is_not_hidden():
    def failing():
        yield 1
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        list(progress(failing(), "failing"))
