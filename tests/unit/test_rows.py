"""What is written is read again, whatever is in it."""

import pytest

from fastvlm.data.example import read_manifest, write_manifest
from fastvlm.rows import read_rows, write_rows
from tests import tiny


@pytest.mark.parametrize("text", ["one\u2028two", "\u2029", "a\x85b", "\x0b\x0c\x1c", "one\r\ntwo", '日本語 \\ "', ""])
def test_a_text_with_another_script_s_line_break_stays_one_row(tmp_path, text):
    rows = [{"text": text}, {"text": "next"}]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_so_does_an_example(tmp_path):
    [example] = tiny.examples(1)
    told = type(example)(**{**vars(example), "references": ("one\u2028two",)})
    write_manifest(tmp_path / "m.jsonl", [told])
    assert [read.references for read in read_manifest(tmp_path / "m.jsonl", "test")] == [told.references]
