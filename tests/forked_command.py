"""`fastvlm` commands in forks of one process that has imported what takes seconds: each starts as fresh as a process of its own.

`python -m tests.forked_command <module> ...` reads one JSON list a line, [folder, file for stderr, arguments], and answers with the exit
code. The hub's clients read their environment when they are imported, so it is that which this process is started with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tests.workspace import COMMANDS, PROJECT, environment


class Commands:
    """The process that forks, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process

    def run(self, folder: Path, *arguments: str) -> tuple[int, list[str]]:
        """(exit code, lines of stderr) of `fastvlm` with these arguments, run in `folder`."""
        said = folder / "stderr.txt"
        self.process.stdin.write(json.dumps([str(folder), str(said), arguments]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()), said.read_text().splitlines()


@contextmanager
def forked_commands(*modules: str, **variables: str) -> Iterator[Commands]:
    """Commands with these modules imported and these environment variables, until the block ends."""
    command = [COMMANDS / "python", "-m", "tests.forked_command", *modules]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=PROJECT, env=environment(PROJECT) | variables, **pipes) as process:
        yield Commands(process)


def _serve(modules: list[str]) -> None:
    for module in modules:
        import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(folder: str, said: str, arguments: list[str]) -> None:
    """Run the command and end as it ends, with the interpreter's own end."""
    from fastvlm.cli import main

    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.chdir(folder)
    sys.argv = ["fastvlm", *arguments]
    main()
    sys.exit()


if __name__ == "__main__":
    _serve(sys.argv[1:])
