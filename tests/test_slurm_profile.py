"""What the SLURM profile makes of the experiments, in dry runs: each job and what it asks for. Needs no SLURM."""

from __future__ import annotations

import json
import sys
from collections import Counter

import pytest

from fastvlm.config import load_config
from fastvlm.planning.jobs import list_jobs
from tests.workspace import PROJECT, copy_project, run

LISTED = (sys.executable, str(PROJECT / "tests/listed_jobs.py"), "--profile", "profiles/slurm")
LOADING = {"pretrain", "texts", "search", "distill", "finetune", "decode", "cost", "observe", "rank"}
SUBMITTED = LOADING | {"fit", "quality"}
ASKED = {"mem_mb", "runtime"}


def listed(project, *options):
    """Jobs of a dry run: rule, wildcards and resources of each."""
    code, output = run(project, *LISTED, *options)
    assert code == 0, output[-5000:]
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"rule": ')]


def resources(jobs, rule, **wildcards):
    """Of the only job of this rule and these wildcards."""
    (found,) = (job["resources"] for job in jobs if job["rule"] == rule and wildcards.items() <= (job["wildcards"] or {}).items())
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def paper(project):
    jobs = listed(project, "--configfile", "config/paper.yaml")
    assert not (project / "results").exists()
    return jobs


@pytest.fixture(scope="module")
def on_cpus(project):
    """The smoke experiment, timed, at the second attempt."""
    (project / "timed.yaml").write_text((project / "config/smoke.yaml").read_text().replace("timed: false", "timed: true"))
    return listed(project, "--configfile", "timed.yaml", "--attempt", "2")


def test_the_whole_paper_is_planned_and_every_job_says_what_it_needs(project, paper):
    assert Counter(job["rule"] for job in paper) == Counter(job.rule for job in list_jobs(load_config(project / "config/paper.yaml")))
    for job in paper:
        if job["rule"] in SUBMITTED:
            assert all(job["resources"][name] > 0 for name in ASKED), job
        assert job["resources"].get("gpu", 0) == int(job["rule"] in LOADING), job


def test_resources_follow_from_model_and_method(paper):
    small, large = (resources(paper, "decode", model=model, method="ssd") for model in ("blip2-opt-2-7b", "llava-1-5-13b"))
    assert small["mem_mb"] < large["mem_mb"] and small["runtime"] < large["runtime"]
    assert resources(paper, "decode", model="llava-1-5-13b", method="baseline")["runtime"] < large["runtime"]
    assert {job["resources"]["cpus_per_task"] for job in paper if job["rule"] == "decode"} == {8}


def test_a_timed_job_on_cpus_has_a_node_and_one_on_a_gpu_its_gpu(paper, on_cpus):
    decode = {"model": "llava-tiny", "method": "ssd"}
    assert resources(on_cpus, "decode", **decode)["slurm_extra"] == "--exclusive"
    assert resources(on_cpus, "rank", model="llava-tiny")["slurm_extra"] == ""
    assert {job["resources"].get("gpu", 0) for job in on_cpus} == {0}
    assert resources(paper, "decode", model="llava-1-5-7b", method="ssd")["slurm_extra"] == ""


def test_a_second_attempt_asks_for_twice_as_much(paper, on_cpus):
    first, second = resources(paper, "quality"), resources(on_cpus, "quality")
    assert {name: second[name] for name in ASKED} == {name: 2 * first[name] for name in ASKED}
    assert resources(on_cpus, "distill", model="llava-tiny", exit_layer="1", seed="")["runtime"] == 480


def test_the_profile_overrides_what_is_estimated(project):
    (job,) = listed(
        project, "results/smoke/data/scenes-vqa.jsonl", "--configfile", "config/smoke.yaml", "--set-resources", "data:runtime=7"
    )
    assert job["resources"]["runtime"] == 7
