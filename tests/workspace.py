"""A copy of the project to run the real Snakemake and the real command line in, without touching this one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
PARTS = ("fastvlm", "workflow", "profiles", "config", "config.yaml", "Snakefile")
COMMANDS = Path(sys.executable).parent


def copy_project(folder: Path) -> Path:
    for part in PARTS:
        copy = shutil.copytree if (PROJECT / part).is_dir() else shutil.copy
        copy(PROJECT / part, folder / part)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Commands of this Python's environment, and the package of the copy."""
    return {**os.environ, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(folder)}


def start(folder: Path, *command: str) -> subprocess.Popen[str]:
    """A command in the copy; stdout and stderr are one pipe."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment(folder), **pipes)


def run(folder: Path, *command: str) -> tuple[int, str]:
    """(exit code, stdout and stderr together)."""
    process = start(folder, *command)
    output, _ = process.communicate()
    return process.returncode, output


def planned(folder: Path, config: str) -> dict[str, int]:
    """How many jobs of each rule Snakemake would run."""
    code, output = run(folder, "snakemake", "--dry-run", "--configfile", config)
    assert code == 0, output
    table = output.rpartition("Job stats:")[2].partition("\ntotal")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}
