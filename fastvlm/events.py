"""What Snakemake says of a run's jobs, kept as one JSON line an event while it runs: `fastvlm status` reads it."""

from __future__ import annotations

import json
import logging
import os
from io import TextIOBase
from pathlib import Path
from typing import Any

FILE = Path(".snakemake/fastvlm-events.jsonl")


class EventLog(logging.Handler):
    """A handler of Snakemake's logger. Nothing is written before `open`, so that a dry run or a refused one leaves no trace."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, int] = {}
        self._file: TextIOBase | None = None

    def open(self, path: Path) -> None:
        """Begin a run: how many jobs of each rule it has, and this process."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")
        self._write(logging.makeLogRecord({}).created, event="run", jobs=self._jobs, process=os.getpid())

    def emit(self, record: logging.LogRecord) -> None:
        event = str(getattr(record, "event", ""))
        if event == "run_info" and self._file is None:
            self._jobs = {rule: count for rule, count in record.stats.items() if rule != "total"}
        elif self._file and event == "job_info":
            wildcards = list((record.wildcards or {}).values())
            self._write(record.created, event="start", job=record.jobid, rule=record.rule_name, wildcards=wildcards, log=list(record.log))
        elif self._file and event == "job_finished":
            self._write(record.created, event="finish", job=record.job_id)
        elif self._file and event == "job_error":
            self._write(record.created, event="error", job=record.jobid, said=record.rule_msg or "")

    def _write(self, time: float, **event: Any) -> None:
        # One write a line, behind what another process's reader has seen.
        self._file.write(json.dumps({"time": time, **event}) + "\n")
        self._file.flush()


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events of all runs of the folder; a line that a killed run left torn is passed over."""
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return events
