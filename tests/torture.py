"""What befalls a run on a cluster: SIGKILL at random moments, a full disk, a folder that takes no files, a clock set back.

`python -m tests.torture` runs a small experiment once undisturbed, then again under each of these; after every blow what has its final
name is whole, and in the end all files are those of the undisturbed run, timings apart. `TORTURE_KILLS` (60) and `TORTURE_SEED` (1) are
read from the environment.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.untimed import content
from tests.workspace import copy_project, run, start

NAME, CONFIG = "torture", "torture.yaml"
RESULTS = f"results/{NAME}"
LAST = f"{RESULTS}/provenance.json"  # of the tables stage
ROOM = 1 << 28  # bytes, of a disk that is not full
COMMAND = ("snakemake", LAST, "--cores", "2", "--configfile", CONFIG)


def write_config(project: Path) -> None:
    """The smoke experiment with one model, two tasks, two shards, checkpoints often, and nothing that is chosen by time."""
    smoke = yaml.safe_load((project / "config/smoke.yaml").read_text())
    tasks = {name: smoke["datasets"][name] for name in ("scenes-caption", "scenes-vqa")}
    tasks["scenes-caption"] |= {"shards": 2, "test": 12}
    methods = {"baseline": {}, "ssd": {"exit_layers": [1]}, "fastvlm": smoke["methods"]["fastvlm"] | {"exit_layers": [1]}}
    model = smoke["models"]["llava-tiny"]
    model["training"] |= {"checkpoint_every": 5}
    changed = {
        "experiment": NAME,
        "datasets": tasks,
        "models": {"llava-tiny": model},
        "methods": methods,
        "decoding": smoke["decoding"] | {"draft_lengths": [2], "policies": []},
    }
    del smoke["ablations"]
    (project / CONFIG).write_text(yaml.safe_dump(smoke | changed))


def undisturbed(project: Path) -> tuple[dict[str, Any], float]:
    """What a run that nobody disturbs ends with, and the seconds that it took."""
    write_config(project)
    begin = time.monotonic()
    code, output = run(project, *COMMAND)
    assert code == 0, output[-5000:]
    return snapshot(project), time.monotonic() - begin


def snapshot(project: Path) -> dict[str, Any]:
    """What every file with its final name holds, timings apart; hidden ones are those that are not finished."""
    files = (path for path in (project / RESULTS).rglob("*") if path.is_file())
    named = {path.relative_to(project / RESULTS): path for path in files}
    return {str(name): content(path) for name, path in named.items() if not any(part.startswith(".") for part in name.parts)}


def check(project: Path, expected: dict[str, Any], *, complete: bool = False) -> None:
    """Raise `AssertionError` where a file with its final name is not what an undisturbed run ends with, or, once `complete`, is missing."""
    found = snapshot(project)
    wrong = [name for name, value in found.items() if name not in expected or expected[name] != value]
    assert not wrong, f"not as in an undisturbed run: {wrong}"
    assert not complete or found.keys() == expected.keys(), f"missing: {sorted(expected.keys() - found.keys())}"


def strike(project: Path, rng: random.Random, longest: float) -> str:
    """Start a run and kill it, or only a job of it, within `longest` seconds; returns what was hit, "" if the run ended before."""
    with start(project, *COMMAND) as process:
        try:
            process.communicate(timeout=rng.uniform(0.0, longest))
            assert process.returncode == 0, "a run that nobody killed failed"
            return ""
        except subprocess.TimeoutExpired:
            return kill(process, rng)


def kill(process: subprocess.Popen[str], rng: random.Random) -> str:
    """As a lost node does, all processes at once; or, every third time, one job."""
    family = psutil.Process(process.pid).children(recursive=True)
    jobs = {one: stage for one in family if (stage := stage_of(one))}
    victims = [*family, psutil.Process(process.pid)]
    if jobs and rng.random() < 1 / 3:
        victims = [rng.choice(list(jobs))]
    hit = sorted({jobs[one] for one in victims if one in jobs}) or ["between jobs"]
    for victim in victims:
        try:
            victim.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.communicate()
    return ", ".join(hit)


def stage_of(process: psutil.Process) -> str:
    try:
        line = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
    places = [place for place, word in enumerate(line[:-1]) if Path(word).name == "fastvlm"]
    return line[places[0] + 1] if places else ""


def torture_by_kills(project: Path, expected: dict[str, Any], kills: int, seed: int, longest: float) -> Counter[str]:
    """Kill runs until they were killed so often, beginning anew whenever one came to its end; the last may end. Returns what was hit."""
    rng, hits = random.Random(seed), Counter()
    while hits.total() < kills:
        hit = strike(project, rng, longest)
        if hit:
            hits[hit] += 1
            print(f"kill {hits.total()} of {kills}: {hit}", flush=True)
        check(project, expected, complete=not hit)
        if not hit:
            shutil.rmtree(project / "results")
    finish(project, expected)
    return hits


def finish(project: Path, expected: dict[str, Any]) -> None:
    """A run that nobody disturbs ends, and all is as it should be; one more has nothing to do."""
    code, output = run(project, *COMMAND)
    assert code == 0, output[-3000:]
    check(project, expected, complete=True)
    code, output = run(project, *COMMAND, "--dry-run")
    assert code == 0 and "Nothing to be done" in output, output[-3000:]


def torture_by_full_disk(project: Path, expected: dict[str, Any], times: int, seed: int, longest: float) -> list[str]:
    """A disk that takes no more from some random moment on: a run fails of it, and goes on once there is room. Returns the lines said."""
    rng, said = random.Random(seed), []
    shutil.rmtree(project / "results")
    with small_disk(project / "results", ROOM) as resize:
        while len(said) < times:
            with start(project, *COMMAND) as process:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(rng.uniform(0.0, longest))
                fill(project / "results", resize, spare=rng.randrange(4))
                output = process.communicate()[0]
            check(project, expected, complete=not process.returncode)
            if process.returncode:
                said += [one_line(output, "the disk is full; make room and start again, what is finished stands")]
                print(f"full disk {len(said)} of {times}: {said[-1]}", flush=True)
            else:
                shutil.rmtree(project / RESULTS)
            resize(f"size={ROOM}")
        finish(project, expected)
    return said


def fill(folder: Path, resize: Any, spare: int) -> None:
    """Leave a disk so many pages beyond what lies on it, and take less for an answer as long as it grows meanwhile."""
    for _ in range(99):
        disk = os.statvfs(folder)
        with suppress(subprocess.CalledProcessError):
            # None at all would mean that there is no limit.
            return resize(f"size={max(1, disk.f_blocks - disk.f_bfree + spare) * disk.f_frsize}")


def torture_by_closed_folder(project: Path, expected: dict[str, Any], seed: int, longest: float) -> str:
    """A disk that turns read-only in the middle of a run, as broken ones do. Returns the line that was said."""
    shutil.rmtree(project / "results")
    with small_disk(project / "results", ROOM) as resize:
        strike(project, random.Random(seed), longest)
        resize("ro")
        code, output = run(project, *COMMAND)
        assert code, "a run that cannot write must fail"
        check(project, expected)
        resize("rw")
        finish(project, expected)
    return one_line(output, "cannot be written to; expected a folder that takes files")


def torture_by_clock(project: Path, expected: dict[str, Any]) -> str:
    """Files from tomorrow, as a clock that is set back leaves them. Returns the line that was said."""
    (project / LAST).unlink()
    times = {path: path.stat().st_mtime for path in (project / RESULTS / "data").iterdir()}
    for path, changed in times.items():
        os.utime(path, (changed + 86400,) * 2)
    code, output = run(project, *COMMAND)
    assert code, "a run among files from the future must not begin"
    check(project, expected)
    for path, changed in times.items():
        os.utime(path, (changed,) * 2)
    finish(project, expected)
    return one_line(output, "was changed 2")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Any]:
    """A tmpfs at `folder`, and a function that mounts it again with other options. Raises `PermissionError` where one may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        raise PermissionError(mounted.stderr.strip())
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def one_line(output: str, expected: str) -> str:
    """The error that a run ended with."""
    lines = [line for line in output.splitlines() if line.startswith("error: ") and expected in line]
    assert lines and "Traceback" not in output, output[-3000:]
    return lines[0]


def main() -> None:
    kills, seed = int(os.environ.get("TORTURE_KILLS", 60)), int(os.environ.get("TORTURE_SEED", 1))
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        project = copy_project(Path(place))
        expected, seconds = undisturbed(project)
        longest = seconds / 2
        print(f"undisturbed: {len(expected)} files in {seconds:.0f} s", flush=True)
        print("SIGKILL:", dict(torture_by_kills(project, expected, kills, seed, longest)), flush=True)
        print("clock set back:", torture_by_clock(project, expected), flush=True)
        try:
            print("read-only:", torture_by_closed_folder(project, expected, seed, longest), flush=True)
            said = torture_by_full_disk(project, expected, 10, seed, longest)
            print(f"full disk: said {len(said)} times", flush=True)
        except PermissionError as error:
            print(f"read-only, full disk: skipped, as no disk may be mounted here ({error})", flush=True)
        print(f"all files are those of the undisturbed run; {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
