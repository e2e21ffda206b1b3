"""The benchmark of ranking at toy size: that it times what it says, and says what it measures."""

from __future__ import annotations

import random

import pytest
import typer

from benchmarks import ranking
from tests import tiny


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_both_ways_find_the_same(family):
    row = ranking.measure(family, 2, ranking.a_round(4, random.Random(1)), repeats=1)
    assert set(row) == set(ranking.COLUMNS)
    assert row["candidates"] == 4 and row["largest_difference"] < 1e-5
    assert row["speedup"] == row["seconds_one_by_one"] / row["seconds"] > 0


@pytest.mark.parametrize("enough", [0, 1])
def test_verdict_is_that_of_every_family(enough, tmp_path, monkeypatch, capsys):
    found = dict.fromkeys(ranking.COLUMNS, 1.0)
    monkeypatch.setattr(ranking, "measure", lambda family, *_: found | {"family": family, "enough": int(enough or family != "llava")})
    with pytest.raises(typer.Exit) as ended:
        ranking.main(2, 4, 1, tmp_path / "ranking.csv")
    assert ended.value.exit_code == (not enough)
    assert ("NOT ENOUGH" in capsys.readouterr().out) == (not enough)
    assert [line.split(",")[0] for line in (tmp_path / "ranking.csv").read_text().splitlines()] == ["family", *tiny.FAMILIES]
