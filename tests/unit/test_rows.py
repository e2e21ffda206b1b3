"""What is written is read again, whatever is in it."""

import errno

import pytest

from fastvlm.data.example import read_manifest, write_manifest
from fastvlm.errors import UserError
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


def failing(error):
    yield {"whole": True}
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full; make room and start again, what is finished stands"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full; make room"),
        (OSError(errno.EROFS, "Read-only file system"), r"cannot be written \(read-only file system\); expected a folder that takes"),
    ],
)
def test_a_disk_that_takes_no_more_is_one_line_and_leaves_what_was_there(tmp_path, error, said):
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"before": True}])
    with pytest.raises(UserError, match=rf"rows\.jsonl: {said}"):
        write_rows(path, failing(error))
    assert list(tmp_path.iterdir()) == [path] and read_rows(path) == [{"before": True}]


def test_a_file_that_cannot_be_read_is_not_called_one_that_cannot_be_written(tmp_path):
    with pytest.raises(PermissionError):
        write_rows(tmp_path / "rows.jsonl", failing(PermissionError(errno.EACCES, "Permission denied", "/elsewhere/picture.png")))
