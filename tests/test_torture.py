"""`make torture` in short: a clock set back, a run killed at two random moments, and a disk that is full at two."""

from __future__ import annotations

import shutil

import pytest

from tests import torture
from tests.workspace import copy_project


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def undisturbed(project):
    return torture.undisturbed(project)


def test_a_clock_set_back_is_said_before_anything_runs(project, undisturbed):
    assert "data/scenes-" in torture.torture_by_clock(project, undisturbed[0])


def test_killed_at_random_moments_a_run_ends_with_the_same_files(project, undisturbed):
    expected, seconds = undisturbed
    for stage in ("imitation", "decode"):
        shutil.rmtree(project / torture.RESULTS / stage)
    (project / torture.LAST).unlink()  # what is finished asks for nothing
    assert torture.torture_by_kills(project, expected, kills=2, seed=1, longest=seconds / 2).total() == 2


def test_a_full_disk_is_said_in_a_line_and_once_there_is_room_the_run_goes_on(project, undisturbed):
    """The last one here, as its disk takes the results with it. Where no disk may be mounted it is skipped; CI may."""
    expected, seconds = undisturbed
    try:
        assert len(torture.torture_by_full_disk(project, expected, times=2, seed=1, longest=seconds / 2)) == 2
    except PermissionError as error:
        pytest.skip(f"no disk may be mounted here ({error})")
