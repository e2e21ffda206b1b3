"""A SLURM of one node on this machine, on loopback and ports of its own, for as long as a block lasts."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
# Here and nowhere else: what a job starts on a node does not know another place.
CONFIGURATION = Path("/etc/slurm/slurm.conf")
MARK = "# Written by FastVLM's tests, and removed by them.\n"
SECONDS_TO_START = 60


def why_not() -> str:
    """Why no SLURM can be started here; "" if one can."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"no SLURM here: {', '.join(missing)} not found (Debian: slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "SLURM's daemons are started by root only"


@contextmanager
def slurm_cluster(folder: Path, *, cpus: int = 2, memory_mb: int = 64000) -> Iterator[None]:
    """A node that says it has so many CPUs and MB; `folder` is for its state. All daemons have ended when the block has."""
    if CONFIGURATION.exists() and not CONFIGURATION.read_text().startswith(MARK):
        raise RuntimeError(
            f"{CONFIGURATION} is there and not of these tests, which would replace it; run them where no SLURM is configured"
        )
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.write_text(_configuration(folder, cpus, memory_mb))
        daemons.append(_start(folder, "munged", "--foreground", *_munge_options(folder)))
        _until((folder / "munge.socket").exists, daemons)
        daemons.append(_start(folder, "slurmctld", "-D"))
        daemons.append(_start(folder, "slurmd", "-D"))
        _until(lambda: _says("sinfo", "--noheader", "--format=%t").strip() == "idle", daemons)
        yield
    finally:
        _stop(daemons)
        CONFIGURATION.unlink(missing_ok=True)


def jobs() -> list[dict[str, str]]:
    """What SLURM knows of each job, those that have ended too, in the order of submission: Comment is its rule and wildcards."""
    lines = _says("scontrol", "--oneliner", "show", "job").splitlines()
    return [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in lines if line.startswith("JobId=")]


def freeze(job: dict[str, str]) -> bool:
    """Stop what a job computes, as a hanging disk would; whether there was anything."""
    stopped = False
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SLURM_JOB_ID") == job["JobId"] and any(word.endswith("/fastvlm") for word in process.cmdline()):
                process.suspend()
                stopped = True
    return stopped


def _configuration(folder: Path, cpus: int, memory_mb: int) -> str:
    host = socket.gethostname().partition(".")[0]
    ports = [_free_port() for _ in range(2)]
    return (
        MARK
        + f"""
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
# The node is taken at its word, whatever this machine has.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Memory is looked at each second, and a job that takes more than it asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=7200
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb}
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
    )


def _munge_options(folder: Path) -> list[str]:
    """A munge of the tests' own: its socket, key and files lie in the folder."""
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    files = [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
    # By force, as the folder is closed to other users; all that uses the socket is root here.
    return ["--force", f"--socket={folder}/munge.socket", f"--key-file={key}", *files]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _start(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.out").open("wb") as output:
        return subprocess.Popen([name, *options], stdout=output, stderr=subprocess.STDOUT)


def _until(holds, daemons: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while not holds():
        if any(daemon.poll() is not None for daemon in daemons) or time.monotonic() > deadline:
            raise RuntimeError(f"SLURM did not start: {[daemon.args[0] for daemon in daemons if daemon.poll() is not None]} ended")
        time.sleep(0.2)


def _says(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def _stop(daemons: list[subprocess.Popen[bytes]]) -> None:
    """First the jobs, whose keepers would outlive the daemons, then those in reverse."""
    if len(daemons) == 3:
        _says("scancel", "--me")
        deadline = time.monotonic() + 60
        while _says("squeue", "--noheader").strip() and time.monotonic() < deadline:
            time.sleep(0.5)
    for daemon in reversed(daemons):
        daemon.terminate()
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
