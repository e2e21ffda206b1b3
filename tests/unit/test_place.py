"""A run does not begin where it cannot write, nor among files from the future."""

import os
import time

import pytest

from fastvlm import place
from fastvlm.errors import UserError
from fastvlm.place import check_place


def test_a_folder_that_is_there_or_can_be_made_is_fine(tmp_path):
    (tmp_path / "old.csv").write_text("")
    check_place(tmp_path)
    check_place(tmp_path / "not/yet")


def test_a_file_from_tomorrow_is_refused(tmp_path):
    path = tmp_path / "deep/manifest.jsonl"
    path.parent.mkdir()
    path.write_text("")
    now = time.time()
    os.utime(path, (now + 30, now + 30))
    check_place(tmp_path)
    os.utime(path, (now + 86400, now + 86400))
    with pytest.raises(UserError, match=r"manifest.jsonl: was changed 24.0 hours from now, by this machine's clock; set the clock"):
        check_place(tmp_path)


def test_a_folder_that_takes_no_files_is_refused(tmp_path, monkeypatch):
    # Root may write wherever the disk may be written to.
    monkeypatch.setattr(place.os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="cannot be written to; expected a folder that takes files"):
        check_place(tmp_path / "not/yet")
