"""The workflow on a real SLURM of one node, in two shards and with every mishap, against a local run in one."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager

import pytest
import yaml

from tests import slurm_cluster
from tests.untimed import content, untimed
from tests.workspace import PROJECT, copy_project, environment, run

CONFIG, RESULTS = "slurm.yaml", "results/cluster"
TABLES = ["speedup", "acceptance", "quality", "seeing"]
TARGETS = [f"{RESULTS}/{table}.csv" for table in TABLES]
ROWS = [f"decode/llava-tiny/{method}/{dataset}.jsonl" for method in ("baseline", "ssd") for dataset in ("scenes-caption", "scenes-vqa")]
# The tests' cluster has no accounts, no database and no minutes to lose. `cost` asks for too little at first, and SLURM kills it.
OVERRIDES = [
    *("--slurm-no-account", "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
    *("--seconds-between-status-checks", "2", "--latency-wait", "10", "--set-resources", "cost:mem_mb=30 + 4000 * (attempt - 1)"),
]
AWAY = ["snakemake", *TARGETS, "--profile", "profiles/slurm", "--configfile", CONFIG, *OVERRIDES]
HOME = ["snakemake", *TARGETS, "--cores", "1", "--configfile", CONFIG]
PATIENCE = 900  # seconds, for anything to happen


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """What happened: (folder of a run at home, folder of one on the cluster, SLURM's jobs, what was said when it mattered)."""
    if reason := slurm_cluster.why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    home, away = (copy_project(tmp_path_factory.mktemp(name)) for name in ("home", "away"))
    for folder, shards in ((home, 1), (away, 2)):
        configure(folder, shards)
    with slurm_cluster.slurm_cluster(tmp_path_factory.mktemp("slurm")):
        said = live_through(away)
        jobs = slurm_cluster.jobs()
    said["home"] = run(home, "timeout", str(PATIENCE), *HOME)
    return home, away, jobs, said


def configure(folder, shards):
    """The experiment of these tests in a copy of the project, each dataset decoded in so many jobs a method."""
    config = yaml.safe_load((PROJECT / "tests" / CONFIG).read_text())
    for dataset in config["datasets"].values():
        dataset["shards"] = shards
    (folder / CONFIG).write_text(yaml.safe_dump(config))


def live_through(folder):
    """A run with every mishap, killed before its end; then one to the end. What the commands said, by name."""
    said = {}
    with submitting(folder) as first:
        train = running(first, "pretrain", lambda job: (folder / RESULTS / "models/llava-tiny/.checkpoint/state.pt").exists())
        subprocess.run(["scancel", train["JobId"]], check=True, timeout=60)
        said["refused"] = run(folder, "timeout", str(PATIENCE), *AWAY)
        late = running(first, "decode", slurm_cluster.freeze)
        said["at work"] = run(folder, "fastvlm", "status")
        subprocess.run(["scontrol", "update", f"JobId={late['JobId']}", "TimeLimit=00:00:01"], check=True, timeout=60)
        again = running(first, late["Comment"], lambda job: job["JobId"] != late["JobId"] and slurm_cluster.freeze(job))
        said["orphan"] = again["JobId"]
    said["killed"] = run(folder, "fastvlm", "status")
    said["second"] = run(folder, "timeout", str(PATIENCE), *AWAY)
    said["ended"] = run(folder, "fastvlm", "status")
    return said


@contextmanager
def submitting(folder):
    """A run on the cluster; killed when the block ends."""
    with (folder / "first.log").open("w") as output:
        process = subprocess.Popen(AWAY, cwd=folder, env=environment(folder), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(60)


def running(run, comment, holds):
    """The first job with this in its comment that is running and of which this holds; fails if the run ends before."""
    deadline = time.monotonic() + PATIENCE
    while run.poll() is None and time.monotonic() < deadline:
        for job in slurm_cluster.jobs():
            if job["JobState"] == "RUNNING" and comment in job["Comment"] and holds(job):
                return job
        time.sleep(0.05)
    pytest.fail(f"no job {comment} was running; {[(job['Comment'], job['JobState']) for job in slurm_cluster.jobs()]}")


def tries(jobs, comment):
    """The jobs of one rule and wildcards, in the order of submission."""
    return [job for job in jobs if comment in job["Comment"]]


def megabytes(job):
    number, unit = re.fullmatch(r"([\d.]+)([MG])", job["MinMemoryNode"]).groups()
    return float(number) * {"M": 1, "G": 1024}[unit]


def check_results(away, home):
    """Rows and tables of both folders are the same, timings apart."""
    for name in ROWS:
        assert content(away / RESULTS / name) == content(home / RESULTS / name), name
    for name in TARGETS:
        assert untimed(away / name) == untimed(home / name), name


def test_the_run_ends_and_says_so(story):
    _, _, _, said = story
    assert said["second"][0] == 0, said["second"][1][-5000:]
    assert re.search(r"^ended; .*\n(\d+) of \1 jobs done, 0 cut off, 0 failed, 0 waiting", said["ended"][1], re.MULTILINE)


def test_results_are_those_of_a_local_run(story):
    home, away, _, said = story
    assert said["home"][0] == 0, said["home"][1][-5000:]
    weights = f"{RESULTS}/models/llava-tiny/model.safetensors"
    assert (away / weights).read_bytes() == (home / weights).read_bytes()
    check_results(away, home)


def test_a_job_that_was_cancelled_is_taken_up_again(story):
    _, _, jobs, _ = story
    first, second = tries(jobs, "rule_pretrain")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    assert (megabytes(second), second["TimeLimit"]) == (2 * megabytes(first), "08:00:00")


def test_a_job_out_of_memory_is_tried_with_more(story):
    _, _, jobs, _ = story
    costs = tries(jobs, "rule_cost")
    assert costs[-1]["JobState"] == "COMPLETED" and megabytes(costs[-1]) == 4030
    assert {megabytes(job) for job in costs if job["JobState"] == "FAILED"} == {30}


def test_a_job_out_of_time_is_tried_with_more(story):
    _, _, jobs, said = story
    (late,) = (job for job in jobs if job["JobState"] == "TIMEOUT")
    second = tries(jobs, late["Comment"])[1]
    assert second["JobId"] == said["orphan"]
    assert megabytes(second) == 2 * megabytes(late)
    assert second["TimeLimit"] == "00:30:00"


def test_what_a_killed_run_left_in_the_queue_is_ended_by_the_next(story):
    _, _, jobs, said = story
    (orphan,) = (job for job in jobs if job["JobId"] == said["orphan"])
    assert orphan["JobState"] == "CANCELLED"
    assert tries(jobs, orphan["Comment"])[-1]["JobState"] == "COMPLETED"


def test_a_timed_job_has_the_node_to_itself(story):
    _, _, jobs, _ = story
    alone = {job["Comment"].split("_")[1]: (job["OverSubscribe"], job["NumCPUs"]) for job in jobs if job["JobState"] == "COMPLETED"}
    assert alone["decode"] == alone["cost"] == ("NO", "2")
    assert alone["pretrain"] == alone["quality"] == ("OK", "1")


def test_light_work_is_not_submitted(story):
    _, _, jobs, _ = story
    assert {job["Comment"].split("_")[1] for job in jobs} == {"pretrain", "decode", "cost", "quality"}


def test_each_shard_is_a_job(story):
    _, _, jobs, _ = story
    done = sorted(job["Comment"] for job in jobs if "rule_decode" in job["Comment"] and job["JobState"] == "COMPLETED")
    assert len(done) == len(set(done)) == 2 * 2  # methods, shards


def test_a_second_run_is_refused(story):
    code, output = story[3]["refused"]
    assert code != 0
    assert "another run is at work in this folder" in output


def test_status_is_readable_while_jobs_run_and_after_a_kill(story):
    _, _, _, said = story
    code, output = said["at work"]
    assert code == 0
    assert re.search(r"^running \(process \d+\)", output) and re.search(r"^  decode llava-tiny", output, re.MULTILINE)
    assert said["killed"][1].startswith("not running: start snakemake again to go on")
