"""Jobs that a killed run left in a cluster's queue."""

from __future__ import annotations

import pytest

from fastvlm import cluster
from fastvlm.cluster import cancel_orphans
from fastvlm.errors import UserError

SQUEUE = """#!/bin/sh
[ -n "$REFUSE" ] && {{ echo "squeue: error: no controller" >&2; exit 1; }}
[ -f {queue} ] && cat {queue} || true
"""
SCANCEL = """#!/bin/sh
echo "$@" >> {told}
[ -n "$DEAF" ] || : > {queue}
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands named as SLURM's: a queue that is a file, and what was cancelled."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
        (commands / name).write_text(text.format(queue=tmp_path / "queue", told=tmp_path / "told"))
        (commands / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    return tmp_path


def test_only_our_jobs_of_this_folder_are_cancelled(slurm):
    other = slurm / "other"
    lines = [f"11|fastvlm_a1|{slurm}", f"12|fastvlm_a1|{other}", f"13|mine|{slurm}", f"14_1|fastvlm_b2|{slurm}"]
    (slurm / "queue").write_text("\n".join(lines) + "\n")
    assert cancel_orphans(slurm) == ["11", "14_1"]
    assert (slurm / "told").read_text() == "11 14_1\n"


def test_an_empty_queue_cancels_nothing(slurm):
    assert cancel_orphans(slurm) == []
    assert not (slurm / "told").exists()


def test_without_slurm_there_is_no_queue(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel_orphans(tmp_path) == []


def test_a_queue_that_does_not_answer_stops_the_run(slurm, monkeypatch):
    monkeypatch.setenv("REFUSE", "1")
    with pytest.raises(UserError, match=r"squeue: squeue: error: no controller; expected SLURM's answer"):
        cancel_orphans(slurm)


def test_a_job_that_does_not_end_is_named(slurm, monkeypatch):
    monkeypatch.setenv("DEAF", "1")
    monkeypatch.setattr(cluster, "SECONDS_TO_END", 0.0)
    (slurm / "queue").write_text(f"11|fastvlm_a1|{slurm}\n")
    with pytest.raises(UserError, match="SLURM jobs 11: of an earlier run"):
        cancel_orphans(slurm)
