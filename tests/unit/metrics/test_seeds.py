"""The spread of networks that differ in their seed, against counts made by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.errors import UserError
from fastvlm.metrics.seeds import COLUMNS, write_seeds
from fastvlm.rows import write_json, write_rows
from fastvlm.table_file import read_table


def network(folder, model, seed, exit_layer, agreement):
    place = folder / model / f"exit{exit_layer}-seed{seed}"
    write_json(place / "card.json", {"network": "transformer", "seed": seed, "exit_layer": exit_layer, "agreement": agreement})
    return model, place


def observed(folder, model, seed, rounds):
    """`rounds`: exit layer -> [drafted, accepted] of each round, a text a round."""
    path = folder / model / f"fastvlm-seed{seed}.jsonl"
    rows = [{"exit_layer": layer, "rounds": [[20, stood, [0.5] * drafted]]} for layer, of in rounds.items() for drafted, stood in of]
    write_rows(path, rows)
    return model, path


def test_a_line_a_seed_and_the_spread(tmp_path):
    agreements = {1: 0.9, 2: 0.8, 3: 0.7}
    networks = [network(tmp_path, model, seed, layer, agreements[seed]) for model in "ab" for seed in (1, 2, 3) for layer in (1, 2)]
    files = [observed(tmp_path, model, seed, {1: [[4, seed], [2, 0]], 2: [[4, 4]]}) for model in "ab" for seed in (1, 2, 3)]
    write_seeds("scenes", networks, files, tmp_path / "seeds.csv")
    records = read_table(tmp_path / "seeds.csv", *COLUMNS)
    assert len(records) == 2 * 2 * (3 + 3)
    of = [record for record in records if (record["model"], record["exit_layer"]) == ("a", 1)]
    assert [(r["seed"], r["raced"], r["drafted"], r["accepted"]) for r in of[:3]] == [(1, 1, 6, 1), (2, 0, 6, 2), (3, 0, 6, 3)]
    assert [(r["statistic"], r["agreement"], r["acceptance_rate"]) for r in of[3:]] == [
        ("mean", 0.8, pytest.approx(2 / 6, rel=1e-5)),
        ("min", 0.7, pytest.approx(1 / 6, rel=1e-5)),
        ("max", 0.9, 0.5),
    ]
    assert {r["acceptance_rate"] for r in records if r["exit_layer"] == 2} == {1.0}


@settings(max_examples=15)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8)), min_size=1, max_size=5))
def test_the_mean_lies_between_the_ends_and_the_ends_are_seeds(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("seeds")
    networks = [network(folder, "a", seed, 1, round(agreement, 6)) for seed, (agreement, _) in enumerate(drawn)]
    files = [observed(folder, "a", seed, {1: [[8, stood]]}) for seed, (_, stood) in enumerate(drawn)]
    write_seeds("scenes", networks, files, folder / "seeds.csv")
    records = read_table(folder / "seeds.csv")
    for column in ("agreement", "acceptance_rate"):
        own = [record[column] for record in records if not record["statistic"]]
        spread = {record["statistic"]: record[column] for record in records if record["statistic"]}
        assert (spread["min"], spread["max"]) == (min(own), max(own))
        assert spread["min"] - 1e-6 <= spread["mean"] <= spread["max"] + 1e-6


def test_nothing_drafted_is_no_acceptance(tmp_path):
    write_seeds("scenes", [network(tmp_path, "a", 1, 1, 0.5)], [observed(tmp_path, "a", 1, {1: [[0, 0]]})], tmp_path / "seeds.csv")
    assert {record["acceptance_rate"] for record in read_table(tmp_path / "seeds.csv")} == {None}


@pytest.mark.parametrize(
    ("rounds", "words"),
    [({}, "a: 0 files of observations were given; expected 1, one a seed"), ({1: {2: [[1, 1]]}}, "nothing of exit layer 1")],
)
def test_what_does_not_fit_is_refused(tmp_path, rounds, words):
    files = [observed(tmp_path, "a", seed, of) for seed, of in rounds.items()]
    with pytest.raises(UserError, match=words):
        write_seeds("scenes", [network(tmp_path, "a", 1, 1, 0.5)], files, tmp_path / "seeds.csv")
    assert not (tmp_path / "seeds.csv").exists()
