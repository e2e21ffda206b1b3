"""`python -m tests.slurm_shards`: the tests' experiment through SLURM in 1, 2 and 4 shards, each against a run on this machine.

Root, and Debian's packages slurm-wlm and munge, are needed, as for `test_slurm`, which does this for two shards with mishaps.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests import slurm_cluster
from tests.test_slurm import AWAY, HOME, check_results, configure
from tests.workspace import copy_project, run

SHARDS = (1, 2, 4)


def main() -> None:
    if reason := slurm_cluster.why_not():
        raise SystemExit(f"error: {reason}")
    with tempfile.TemporaryDirectory() as place:
        home = project(Path(place, "home"), 1)
        finish(home, HOME)
        with slurm_cluster.slurm_cluster(Path(place)):
            for shards in SHARDS:
                begin = time.monotonic()
                away = project(Path(place, f"away-{shards}"), shards)
                finish(away, AWAY)
                check_results(away, home)
                print(f"{shards} shards: the same rows and tables, timings apart; {time.monotonic() - begin:.0f} s", flush=True)


def project(folder: Path, shards: int) -> Path:
    folder.mkdir()
    configure(copy_project(folder), shards)
    return folder


def finish(folder: Path, command: list[str]) -> None:
    code, output = run(folder, *command)
    if code:
        raise SystemExit(output[-5000:])


if __name__ == "__main__":
    main()
