"""Jobs and tokens, counted by hand and by Snakemake."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from fastvlm.config import load_config
from fastvlm.planning.examples import count_examples
from fastvlm.planning.hours import decode_tokens, decodes_an_example, method_tokens, text_steps
from fastvlm.planning.jobs import Job, list_jobs
from tests.captioned_folder import content, write_folder
from tests.unit.planning.experiment import FILES, LLAVA, SMOKE, experiment
from tests.workspace import copy_project, planned


@pytest.mark.parametrize("name", ["config/smoke.yaml", "config/paper.yaml", "sharded.yaml"])
def test_jobs_are_those_of_a_dry_run(name, tmp_path):
    project = copy_project(tmp_path)
    smoke = (project / "config/smoke.yaml").read_text()
    (project / "sharded.yaml").write_text(smoke.replace("max_new_tokens: 24}", "max_new_tokens: 24, shards: 3}"))
    assert Counter(job.rule for job in list_jobs(load_config(project / name))) == planned(project, name)


def test_jobs_of_a_hub_model():
    jobs = Counter(list_jobs(experiment()))
    # One a method, for all datasets and splits; the oracle has its place in FastVLM's.
    assert jobs[Job("decode", "known")] == 9
    assert jobs[Job("fetch", "known")] == jobs[Job("texts", "known")] == jobs[Job("search", "known")] == jobs[Job("cost", "known")] == 1
    # Two exit layers and two seeds; SSD and the drafter that skips are watched too.
    assert (jobs[Job("distill", "known")], jobs[Job("observe", "known")], jobs[Job("seeds")]) == (4, 6, 1)
    assert jobs[Job("finetune", "known")] == 2
    assert jobs[Job("see")] == 1
    assert not any(job.rule in ("pretrain", "learning_curve", "figure_learning_curve") for job in jobs)


def test_a_folder_is_neither_trained_nor_fetched_and_photographs_are_not_checked_for_what_is_drawn():
    folder = {"source": "folder", "path": "absent"}
    rules = {
        job.rule
        for job in list_jobs(experiment(models={"own": folder}, datasets={"own": FILES | {"train": 9, "validation": 9, "test": 9}}))
    }
    assert not {"pretrain", "fetch", "see", "learning_curve"} & rules
    assert {"data", "texts", "distill", "cost", "decode", "all"} < rules


def test_without_fastvlm_nothing_is_distilled():
    jobs = list_jobs(experiment(methods={"baseline": {}, "ssd": {"exit_layers": [1]}}))
    assert not {"texts", "distill", "search"} & {job.rule for job in jobs}


def test_a_search_needs_texts_too():
    jobs = list_jobs(experiment(methods={"baseline": {}, "draft-verify": {"trials": 3, "texts": 3, "most_skipped": 0.5}}))
    assert {"texts", "search", "observe", "fit"} <= {job.rule for job in jobs} and "distill" not in {job.rule for job in jobs}


@pytest.mark.parametrize(("seeds", "policies", "watched"), [(1, [], 0), (3, [], 3), (3, ["confidence"], 7), (1, ["confidence"], 5)])
def test_networks_of_more_seeds_are_distilled_and_watched(seeds, policies, watched):
    config = experiment(distillation=SMOKE["distillation"] | {"seeds": seeds}, decoding=SMOKE["decoding"] | {"policies": policies})
    jobs = Counter(list_jobs(config))
    assert (jobs[Job("distill", "known")], jobs[Job("observe", "known")], jobs[Job("seeds")]) == (2 * seeds, watched, int(seeds > 1))


def test_texts_decoded_of_an_example():
    config = experiment()
    # Exit layers 1 and 2, each at draft lengths 1 and 4, with three policies and beside plain decoding; what has neither, once. The oracle
    # stands beside FastVLM.
    expected = {
        "baseline": 2,
        "generate": 2,
        "ssd": 12,
        "ssd-joint": 12,
        "layerskip": 6,
        "fastvlm": 16,
        "exit-only": 4,
        "prompt-lookup": 3,
        "draft-verify": 6,
    }
    assert {method: decodes_an_example(config, "known", method) for method in expected} == expected


def test_exit_layers_of_a_model_count():
    config = experiment(models={"known": LLAVA | {"exit_layers": {"ssd": [8]}}})
    assert decodes_an_example(config, "known", "ssd") == 6


def test_tokens_of_the_decode_jobs():
    # 6 test and 4 validation examples, one decoded once more to warm up, at most 16 tokens each.
    counts = {"train": 200, "validation": 4, "test": 6}
    assert decode_tokens(experiment(), "known", "drawn", counts) == 16 * (
        (6 + 1) * (2 + 2 + 12 + 12 + 6 + 4 + 3 + 6 + 16) + 4 * (12 + 12 + 6 + 4 + 3 + 6 + 16)
    )
    assert decode_tokens(experiment(), "known", "drawn", counts | {"test": None}) is None
    ssd = partial(method_tokens, model="known", method="ssd", dataset="drawn", counts=counts)
    assert ssd(experiment()) == 16 * 12 * (6 + 4 + 1)
    assert ssd(experiment(decoding=SMOKE["decoding"] | {"repeats": 3})) == 3 * ssd(experiment())
    assert ssd(experiment(decoding=SMOKE["decoding"] | {"choose_on": 2})) == 16 * 12 * (6 + 2 + 1)
    own = SMOKE["datasets"]["scenes-caption"] | {"train": 200, "validation": 4, "test": 6, "repeats": 2}
    assert ssd(experiment(datasets={"drawn": own})) == 2 * ssd(experiment())


@pytest.mark.parametrize(("train", "batches"), [(200, 2 + 1), (10, 1 + 1), (None, 2 + 1)])
def test_steps_of_the_distillation_texts(train, batches):
    # At most 32 train images, and 4 that validate, in batches of 16.
    assert text_steps(experiment(), "drawn", {"train": train, "validation": 4, "test": 6}) == 16 * batches


def test_examples_of_a_dataset(tmp_path):
    assert count_examples(experiment(), "drawn") == ({"train": 200, "validation": 4, "test": 6}, "")
    assert count_examples(experiment(), "own") == ({"train": None, "validation": 10, "test": 50}, "")
    unlimited = experiment(datasets={"own": FILES | {"train": None, "validation": 10, "test": None}})
    counts, reason = count_examples(unlimited, "own")
    assert counts["test"] is None
    assert reason == "absent/c.json is not there, and no limit is set for test; put the file there or set one"
    there = {"folder": str(write_folder(tmp_path / "own", content())), "captions": "captions.json"}
    counted = experiment(datasets={"own": FILES | there | {"train": 5, "validation": None, "test": None}})
    # Of ten images six train, two validate and two test.
    assert count_examples(counted, "own") == ({"train": 5, "validation": 2, "test": 2}, "")
