"""JSON and JSON lines: what is not as expected is named with its place."""

from __future__ import annotations

import json

import pytest

from fastvlm.data.records import field, read_json, read_json_lines, text, unique
from fastvlm.errors import UserError


def test_a_text_may_hold_line_breaks_of_other_scripts(tmp_path):
    value = "before\u2028after\u0085end"
    (tmp_path / "a.jsonl").write_text(json.dumps({"a": value}, ensure_ascii=False) + "\r\n\n" + json.dumps({"a": 2}), encoding="utf-8")
    assert [record["a"] for _, record in read_json_lines(tmp_path / "a.jsonl", "lines")] == [value, 2]


def test_a_line_is_named_by_its_number_blank_ones_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(UserError, match=r"a\.jsonl: line 3: not JSON \(.*\); expected lines"):
        read_json_lines(tmp_path / "a.jsonl", "lines")


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: no such file; expected a thing"):
        read_json(tmp_path / "a.json", "a thing")


@pytest.mark.parametrize(
    ("record", "kind", "line"),
    [
        ({}, str, "here.a: missing, expected text"),
        ({"a": None}, str, "here.a: found NoneType, expected text"),
        ({"a": True}, int, "here.a: found bool, expected a number"),
        ({"a": 1.5}, int | str, "here.a: found float, expected a number or text"),
        ({"a": {}}, list, "here.a: found dict, expected a list"),
        ([], dict, "here: found list, expected a record with the key 'a'"),
    ],
)
def test_fields(record, kind, line):
    with pytest.raises(UserError) as error:
        field("here", record, "a", kind)
    assert str(error.value) == line


def test_text_is_not_stripped_and_not_empty():
    assert text("here", {"a": " x "}, "a") == " x "
    with pytest.raises(UserError, match=r"here\.a: empty, expected text"):
        text("here", {"a": " \n"}, "a")


def test_an_id_that_occurs_twice():
    assert unique("here", [(1, "a"), ("1", "b")]) == {1: "a", "1": "b"}
    with pytest.raises(UserError, match="here: id 1 occurs twice"):
        unique("here", [(1, "a"), (1, "b")])
