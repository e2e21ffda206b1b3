"""What the README's block says beside the speed-ups."""

from __future__ import annotations

from fastvlm.readme import _seeing

NAMED = {"mentions": 20, "mentions_right": 19, "answers": None, "answers_right": None}
STATED = {"mentions": None, "mentions_right": None, "answers": 30, "answers_right": 27}


def test_what_is_seen_stands_beside_chance():
    seen = [{"model": model, "dataset": dataset, **of} for model in ("a", "b") for dataset, of in (("x", NAMED), ("y", STATED))][:-1]
    blind = [{"dataset": "x", **NAMED, "mentions_right": 1}]
    (_, table) = _seeing(seen, blind)
    assert table.splitlines()[2:] == [
        "| x | things as they are named | 95% of 20 | 95% of 20 | 5% of 20 |",
        "| y | facts as they are stated | 90% of 30 |  |  |",
    ]


def test_a_text_that_names_nothing_has_no_share():
    silent = {"model": "a", "dataset": "x", **NAMED, "mentions": 0, "mentions_right": 0}
    assert _seeing([silent], [])[1].splitlines()[2] == "| x | things as they are named |  |  |"


def test_photographs_say_nothing_of_what_is_seen():
    assert _seeing([], []) == []
