"""How far a run is, from what Snakemake said of its jobs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from fastvlm import events, run_lock, status
from fastvlm.cli import app
from fastvlm.errors import UserError
from fastvlm.status import describe, find_run, remaining_seconds
from tests.unit.test_run_lock import HOLD

BEGAN = 1_000_000.0


def start(job, rule, at, *wildcards, log=()):
    return {"time": BEGAN + at, "event": "start", "job": job, "rule": rule, "wildcards": list(wildcards), "log": list(log)}


def finish(job, at):
    return {"time": BEGAN + at, "event": "finish", "job": job}


def error(job, at, said=""):
    return {"time": BEGAN + at, "event": "error", "job": job, "said": said}


def begin(at=0.0, **jobs):
    return {"time": BEGAN + at, "event": "run", "jobs": jobs, "process": 7}


def write(folder, *records):
    """The events as the workflow writes them, by way of its handler's format."""
    path = folder / events.FILE
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"{events.json.dumps(record)}\n" for record in records))


def test_jobs_are_counted_by_their_last_attempt():
    run = find_run([begin(decode=3), start(1, "decode", 0), start(2, "decode", 0), error(1, 5), finish(2, 6), start(1, "decode", 7)])
    assert [(job.state, job.attempt) for job in run.jobs.values()] == [("running", 2), ("finished", 1)]


def test_an_earlier_run_only_tells_how_long_its_jobs_took():
    run = find_run([begin(decode=1), start(1, "decode", 0), finish(1, 30), begin(at=100, decode=1), start(1, "decode", 100)])
    assert [job.state for job in run.jobs.values()] == ["running"]
    assert run.seconds == {"decode": [30.0]}


def test_remaining_seconds():
    # Ten seconds a job, two at once: five waiting and one half done.
    records = [begin(decode=8), *(start(job, "decode", 0) for job in (1, 2)), finish(1, 10), finish(2, 10)]
    run = find_run([*records, start(3, "decode", 10), start(4, "decode", 10)])
    seconds, unknown = remaining_seconds(run, BEGAN + 15)
    assert seconds == pytest.approx((4 * 10 + 2 * 5) / 2)
    assert unknown == 0


def test_what_no_finished_job_tells_of_is_not_guessed():
    run = find_run([begin(data=1, decode=2), start(1, "data", 0), finish(1, 4)])
    assert remaining_seconds(run, BEGAN + 4) == (None, 2)
    assert remaining_seconds(find_run([begin(data=1), start(1, "data", 0), finish(1, 4)]), BEGAN + 4) == (0, 0)


def test_a_run_that_was_killed_and_its_error(tmp_path):
    log = tmp_path / "logs/decode.log"
    log.parent.mkdir()
    log.write_text("loading\nerror: model: weights are torn\nbye\n")
    said = "SLURM-job '3' failed, SLURM status is: 'FAILED'."
    records = [begin(decode=3), start(1, "decode", 0, "llava", "ssd", log=["logs/decode.log"]), error(1, 60, said)]
    write(tmp_path, *records, start(2, "decode", 0, "llava", "baseline"))
    lines = describe(tmp_path).splitlines()
    assert lines[0].startswith("not running: start snakemake again to go on; begun ") and lines[0].endswith("0:01:00 ago")
    assert lines[1] == "0 of 3 jobs done, 1 cut off, 1 failed, 1 waiting"
    assert lines[2] == f"FAILED decode llava ssd, attempt 1: error: model: weights are torn (logs/decode.log); {said}"
    assert len(lines) == 3


def test_a_run_at_work(tmp_path, monkeypatch):
    monkeypatch.setattr(status.time, "time", lambda: BEGAN + 90)
    log = tmp_path / "decode.log"
    log.write_text("ssd on scenes test: 40%\n")
    os.utime(log, (BEGAN + 80, BEGAN + 80))
    records = [begin(data=1, decode=2), start(1, "data", 0), finish(1, 10), start(2, "decode", 10, "llava", "ssd", log=["decode.log"])]
    write(tmp_path, *records, start(3, "decode", 85, "llava", "baseline", log=["decode.log"]))
    lock = tmp_path / run_lock.FILE
    with subprocess.Popen([sys.executable, "-c", HOLD.format(then="input()"), str(lock)], stdin=-1, stdout=-1, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        lines = describe(tmp_path).splitlines()
        holder.kill()
    assert lines[0].startswith("running (process 7); begun ") and lines[0].endswith("0:01:30 ago")
    assert lines[1:] == [
        "1 of 3 jobs done, 2 running, 0 failed, 0 waiting",
        "remaining: not known yet",
        "  decode llava ssd: 0:01:20; ssd on scenes test: 40%",
        "  decode llava baseline: submitted 0:00:05 ago, not started",
    ]


def test_a_torn_line_is_passed_over(tmp_path):
    write(tmp_path, begin(decode=1))
    with (tmp_path / events.FILE).open("a") as handle:
        handle.write('{"time": 1000')
    assert "0 of 1 jobs done" in describe(tmp_path)


def test_where_nothing_has_begun_it_says_so(tmp_path):
    with pytest.raises(UserError, match=r"fastvlm-events\.jsonl: no run has begun in this folder; expected one"):
        describe(tmp_path)


def test_the_command(tmp_path):
    write(tmp_path, begin(decode=1), start(1, "decode", 0), finish(1, 1))
    done = CliRunner().invoke(app, ["status", "--folder", str(tmp_path)])
    assert done.exit_code == 0 and done.output.startswith("ended; begun ")


def test_the_handler_keeps_what_happens_once_the_run_has_begun(tmp_path):
    handler, path = events.EventLog(), tmp_path / "deep" / "events.jsonl"
    handler.emit(record(event="run_info", stats={"decode": 1, "total": 1}))
    assert not path.exists()
    handler.open(path)
    handler.emit(record(event="job_info", jobid=4, rule_name="decode", wildcards={"model": "llava"}, log=["decode.log"]))
    handler.emit(record(event="job_error", jobid=4, rule_msg=None))
    handler.emit(record(event="job_finished", job_id=4))
    handler.emit(record(event="progress"))
    kept = [{key: value for key, value in event.items() if key != "time"} for event in events.read_events(path)]
    assert kept == [
        {"event": "run", "jobs": {"decode": 1}, "process": os.getpid()},
        {"event": "start", "job": 4, "rule": "decode", "wildcards": ["llava"], "log": ["decode.log"]},
        {"event": "error", "job": 4, "said": ""},
        {"event": "finish", "job": 4},
    ]


def record(**attributes):
    return logging.makeLogRecord({"created": time.time(), **attributes})
