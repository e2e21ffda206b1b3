"""A table reads back as it was written, in the same bytes, and a broken one is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.errors import UserError
from fastvlm.table_file import read_table, write_table

COLUMNS = ("model", "examples", "decode_speedup")
records = st.fixed_dictionaries(
    {
        "model": st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8),
        "examples": st.none() | st.integers(),
        "decode_speedup": st.none() | st.floats(-1e6, 1e6),
    }
)


@given(st.lists(records, max_size=5))
def test_what_was_written_is_read(tmp_path_factory, made):
    path = tmp_path_factory.mktemp("table") / "a.csv"
    write_table(path, COLUMNS, made)
    for record, back in zip(made, read_table(path, *COLUMNS), strict=True):
        assert (back["model"], back["examples"]) == (record["model"], record["examples"])
        if record["decode_speedup"] is None:
            assert back["decode_speedup"] is None
        else:
            assert back["decode_speedup"] == pytest.approx(record["decode_speedup"], rel=1e-5)


def test_the_bytes(tmp_path):
    write_table(tmp_path / "a.csv", COLUMNS, [{"model": "7", "decode_speedup": 1 / 3}, {"model": "", "examples": 12345678}])
    assert (tmp_path / "a.csv").read_bytes() == b"model,examples,decode_speedup\n7,,0.333333\n,12345678,\n"
    assert read_table(tmp_path / "a.csv")[0]["model"] == "7"


def test_a_column_that_the_table_lacks_is_not_dropped(tmp_path):
    with pytest.raises(ValueError, match="seconds"):
        write_table(tmp_path / "a.csv", COLUMNS, [{"seconds": 1}])
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,examples\nm,1\n", "column 'decode_speedup' is missing"),
        ("", "column 'model' is missing; found nothing"),
        ("model,examples,decode_speedup\nm,1\n", "line 2 has another number of cells"),
        ("model,examples,decode_speedup\nm,1,2,3\n", "line 2 has another number of cells"),
        ("model,examples,decode_speedup\nm,1,2\nm,many,2\n", "line 3: could not convert string to float: 'many'"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=f"a.csv: {message}"):
        read_table(tmp_path / "a.csv", *COLUMNS)


def test_an_absent_table_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a.csv: no such table"):
        read_table(tmp_path / "a.csv")


def test_a_column_named_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a column is named twice in a, b, a"):
        write_table(tmp_path / "t.csv", ("a", "b", "a"), [])
