"""Jobs of a cluster that outlived the run which submitted them."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from fastvlm.errors import UserError

PREFIX = "fastvlm_"  # of the names of our jobs, as profiles/slurm sets it
SECONDS_TO_END = 120.0  # until SLURM has ended what it was told to; its own patience (KillWait) is mostly 30


def cancel_orphans(folder: Path) -> list[str]:
    """Cancel our jobs of this folder that are still in SLURM's queue, wait until they are gone, and return their numbers.

    For a run that holds the folder's lock: whoever submitted them is dead, and they would write beside this run's jobs. Their work is
    not lost, as it is taken up again. Raises `UserError` if SLURM does not answer, or if they do not end.
    """
    if shutil.which("squeue") is None:
        return []
    orphans = _jobs_of(folder)
    if orphans:
        _ask("scancel", *orphans)
    deadline = time.monotonic() + SECONDS_TO_END
    while left := _jobs_of(folder):
        if time.monotonic() > deadline:
            raise UserError(
                f"SLURM jobs {', '.join(left)}: of an earlier run, cancelled and still there; expected them gone, see squeue --me"
            )
        time.sleep(1)
    return orphans


def _jobs_of(folder: Path) -> list[str]:
    """Numbers of our jobs that were submitted from this folder and are waiting, running or ending."""
    records = (line.split("|", 2) for line in _ask("squeue", "--me", "--noheader", "--format=%i|%j|%Z").splitlines())
    return [number for number, name, place in records if name.startswith(PREFIX) and Path(place).resolve() == folder.resolve()]


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]}: {error}; expected SLURM's answer, as jobs of an earlier run may be in its queue") from None
    if done.returncode:
        raise UserError(f"{command[0]}: {done.stderr.strip()}; expected SLURM's answer, as jobs of an earlier run may be in its queue")
    return done.stdout
