"""One run at a time in a folder, and no job that outlives its run.

The lock belongs to an open file, so the kernel frees it when its holder dies, however that happens: nothing stale is left to clear away.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

from fastvlm.errors import UserError

FILE = Path(".snakemake/fastvlm.lock")
VARIABLE = "FASTVLM_RUN_LOCK"
SECONDS_FOR_ORPHANS = 5.0  # jobs of a run that was killed end at once; a new run waits for them so long


def hold(path: Path) -> int:
    """Take the lock for this process's lifetime and name it to the jobs that it starts; returns the file descriptor.

    Raises `UserError` if another run holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + SECONDS_FOR_ORPHANS
    while not _take(descriptor):
        if time.monotonic() > deadline:
            holder = os.pread(descriptor, 20, 0).decode() or "unknown"
            os.close(descriptor)
            raise UserError(f"{path}: another run is at work in this folder (process {holder}); expected none, wait for it or stop it")
        time.sleep(0.1)
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    os.environ[VARIABLE] = str(path.resolve())
    return descriptor


def is_held(path: Path) -> bool:
    """Whether a run is at work."""
    if not path.is_file():
        return False
    with path.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def end_with_run() -> None:
    """Make this process, a job, end as soon as the run that started it is dead; does nothing outside of a run.

    A job that went on alone would disturb the timings of the next run and write beside its jobs.
    """
    path = os.environ.get(VARIABLE)
    if path:
        threading.Thread(target=_wait_for_the_end, args=(path,), daemon=True).start()


def _wait_for_the_end(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    # Returns only when the run no longer holds its lock; sleeps in the kernel until then and so costs no time.
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os._exit(1)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
