"""How far a run is, while it is at work or after: jobs done, running, failed and waiting, the time that remains, the last errors."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from fastvlm import run_lock
from fastvlm.errors import UserError
from fastvlm.events import FILE, read_events


@dataclass
class Job:
    """The latest attempt at a job; times are seconds since the epoch. `state` is running, finished or failed."""

    rule: str
    wildcards: list[str]
    log: list[str]
    started: float
    attempt: int
    state: str = "running"
    ended: float = 0.0
    said: str = ""

    @property
    def name(self) -> str:
        return " ".join([self.rule, *self.wildcards])


@dataclass
class Run:
    """The latest run of a folder. `jobs` are those that began, by Snakemake's number, and `seconds` what a rule's took in any run."""

    began: float
    process: int
    planned: Mapping[str, int]
    jobs: dict[int, Job] = field(default_factory=dict)
    seconds: Mapping[str, list[float]] = field(default_factory=dict)

    def those(self, state: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.state == state]


def find_run(events: Iterable[dict[str, Any]]) -> Run:
    """The last run of these events, which begin with one."""
    seconds: dict[str, list[float]] = defaultdict(list)
    run = None
    for event in events:
        if event["event"] == "run":
            run = Run(event["time"], event["process"], event["jobs"], seconds=seconds)
        elif event["event"] == "start":
            before = run.jobs.get(event["job"])
            attempt = before.attempt + 1 if before else 1
            run.jobs[event["job"]] = Job(event["rule"], event["wildcards"], event["log"], event["time"], attempt)
        elif job := run.jobs.get(event["job"]):
            job.state = "finished" if event["event"] == "finish" else "failed"
            job.ended, job.said = event["time"], event.get("said", "")
            if job.state == "finished":
                seconds[job.rule].append(job.ended - job.started)
    return run


def remaining_seconds(run: Run, now: float) -> tuple[float | None, int]:
    """(seconds, jobs that are not in them, as no job of their rule has finished yet); None where nothing is known.

    Each job takes what those of its rule took, and as many are at work at once as were up to now.
    """
    begun = Counter(job.rule for job in run.jobs.values())
    left = [(rule, 0.0) for rule, count in run.planned.items() for _ in range(count - begun[rule])]
    left += [(job.rule, now - job.started) for job in run.those("running")]
    work = [max(0.0, fmean(run.seconds[rule]) - elapsed) for rule, elapsed in left if rule in run.seconds]
    busy = sum((job.ended or now) - job.started for job in run.jobs.values())
    at_once = max(1.0, busy / max(now - run.began, 1e-9))
    return (sum(work) / at_once if work or not left else None), len(left) - len(work)


def describe(folder: Path) -> str:
    """All of it in words. Raises `UserError` where no run has been begun."""
    path = folder / FILE
    events = read_events(path) if path.is_file() else []
    if not events:
        raise UserError(f"{path}: no run has begun in this folder; expected one, start it with snakemake")
    alive = run_lock.is_held(folder / run_lock.FILE)
    now = time.time() if alive else max(event["time"] for event in events)
    return "\n".join(_lines(folder, find_run(events), alive, now))


def _lines(folder: Path, run: Run, alive: bool, now: float) -> Iterable[str]:
    done, failed, running = run.those("finished"), run.those("failed"), run.those("running")
    total = sum(run.planned.values())
    waiting = total - len(run.jobs)
    stopped = "ended" if len(done) == total else "not running: start snakemake again to go on"
    where = f"running (process {run.process})" if alive else stopped
    yield f"{where}; begun {time.strftime('%Y-%m-%d %H:%M', time.localtime(run.began))}, {_span(now - run.began)} ago"
    at_work = f"{len(running)} running" if alive else f"{len(running)} cut off"
    yield f"{len(done)} of {total} jobs done, {at_work}, {len(failed)} failed, {waiting} waiting"
    if alive:
        yield _remaining(run, now)
        yield from (f"  {job.name}: {_doing(folder, job, now)}" for job in running)
    for job in failed:
        yield f"FAILED {job.name}, attempt {job.attempt}: {_error(folder, job)}"


def _remaining(run: Run, now: float) -> str:
    seconds, unknown = remaining_seconds(run, now)
    told = "not known yet" if seconds is None else f"about {_span(seconds)}"
    return f"remaining: {told}" + (f", and {unknown} jobs of rules of which none has finished" if unknown and seconds is not None else "")


def _doing(folder: Path, job: Job, now: float) -> str:
    """How long, and the last line of its log; a log that is older than the job is an earlier attempt's: it waits in a queue."""
    log = folder / job.log[0] if job.log else None
    attempt = f"attempt {job.attempt}, " if job.attempt > 1 else ""
    if log and not (log.is_file() and log.stat().st_mtime >= job.started - 1):
        return f"{attempt}submitted {_span(now - job.started)} ago, not started"
    said = _said(log)[-1:] if log else []
    return attempt + "; ".join([_span(now - job.started), *said])


def _error(folder: Path, job: Job) -> str:
    """The last line that tells of an error, with its log, and what the cluster said of the job."""
    lines = [(line, name) for name in job.log if (folder / name).is_file() for line in _said(folder / name)]
    errors = [(line, name) for line, name in lines if "error" in line.lower()] or lines
    own = [f"{errors[-1][0]} ({errors[-1][1]})"] if errors else []
    return "; ".join([*own, *job.said.splitlines()[:1]]) or f"no line in {', '.join(job.log) or 'any log'}"


def _said(log: Path) -> list[str]:
    return [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _span(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
