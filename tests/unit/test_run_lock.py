"""One run at a time, and no job that outlives its run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fastvlm import run_lock
from fastvlm.errors import UserError

HOLD = "import sys; from pathlib import Path; from fastvlm.run_lock import hold; hold(Path(sys.argv[1])); print('held', flush=True); {then}"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    monkeypatch.setenv(run_lock.VARIABLE, "")
    monkeypatch.setattr(run_lock, "SECONDS_FOR_ORPHANS", 0.5)
    return tmp_path / "fastvlm.lock"


def start_holder(lock, then="input()"):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    holder = subprocess.Popen([sys.executable, "-c", HOLD.format(then=then), str(lock)], **pipes)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_refused_and_told_of_the_first(lock):
    with start_holder(lock) as holder:
        with pytest.raises(UserError, match=rf"fastvlm\.lock: another run is at work in this folder \(process {holder.pid}\)"):
            run_lock.hold(lock)
        holder.kill()


def test_a_killed_run_leaves_nothing_to_clear_away(lock):
    with start_holder(lock) as holder:
        holder.kill()
        holder.wait()
    os.close(run_lock.hold(lock))


def test_a_job_ends_with_its_run(lock):
    job = "import time; from fastvlm.run_lock import end_with_run; end_with_run(); print('at work', flush=True); time.sleep(60)"
    then = f"import subprocess; subprocess.Popen([sys.executable, '-c', {job!r}]); input()"
    with start_holder(lock, then) as holder:
        assert holder.stdout.readline() == "at work\n"
        holder.kill()
        # The pipe closes when the job, its last writer, is gone.
        assert holder.stdout.read() == ""
    os.close(run_lock.hold(lock))


def test_outside_of_a_run_nothing_is_watched(lock):
    run_lock.end_with_run()
    assert not lock.exists()
