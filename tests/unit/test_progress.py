"""A bar on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import pytest

from fastvlm import progress as module
from fastvlm.progress import Transfer, progress


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


def test_a_download_is_plain_lines_where_there_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    with Transfer(desc="model.safetensors", total=4000, initial=1000, unit="B", unit_scale=True) as bar:
        bar.update(1000)
        bar.update(2000)
    said = capsys.readouterr().err
    assert "\r" not in said
    assert [line.split("|")[0].split()[1] for line in said.splitlines()] == ["25%", "50%", "100%", "100%"]


def test_a_short_download_says_nothing(capsys):
    with Transfer(desc="config.json", total=10) as bar:
        bar.update(10)
    assert not capsys.readouterr().err
