"""What jobs ask a cluster for: the plan's own numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastvlm.planning import estimate, requests
from fastvlm.planning.facts import known_checkpoints
from fastvlm.planning.hours import method_tokens, observe_tokens
from fastvlm.planning.rates import assume
from fastvlm.planning.requests import Requests
from tests.unit.planning.experiment import LLAVA, experiment

SHAPE = known_checkpoints()[LLAVA["id"]].shape
COUNTS = {"train": 200, "validation": 4, "test": 6}
DRAWN = {"drawn": {"source": "scenes", "task": "caption", "train": 200, "validation": 4, "test": 6, "max_new_tokens": 16}}


def of(**changes):
    return Requests(experiment(datasets=DRAWN, **changes), Path("absent"))


def test_on_a_gpu_the_host_only_loads():
    asked = of(device="auto", dtype="float16")
    assert asked.mem_mb("decode", "known") == asked.mem_mb("distill", "known") == megabytes(estimate.load_bytes(SHAPE, "float16"))


def test_on_a_cpu_the_host_holds_all():
    asked = of(device="cpu", dtype="float32")
    networks = 2 * estimate.network_parameters(SHAPE, "transformer")
    decoding = estimate.decode_bytes(SHAPE, "float32", new_tokens=16 + 4, networks=networks, caches=2 + 7)
    assert asked.mem_mb("decode", "known") == asked.mem_mb("observe", "known") == megabytes(decoding)
    assert asked.mem_mb("distill", "known") != asked.mem_mb("decode", "known")


def test_minutes_follow_from_tokens_and_rate():
    config, asked = experiment(datasets=DRAWN, device="auto", dtype="float16"), of(device="auto", dtype="float16")
    rate = assume(SHAPE, "float16", "cuda").tokens_per_second
    for stage, count in (("decode", method_tokens), ("observe", observe_tokens)):
        seconds = count(config, "known", "ssd", "drawn", COUNTS) / rate
        assert asked.minutes(stage, "known", "ssd") == round(requests.STARTING_MINUTES + 2 * seconds / 60)
    assert asked.minutes("decode", "known", "ssd") > asked.minutes("decode", "known", "baseline")


def test_longer_texts_take_longer():
    longer = {"drawn": DRAWN["drawn"] | {"max_new_tokens": 1600}}
    slow = Requests(experiment(datasets=longer, device="cpu"), Path("absent"))
    assert slow.minutes("texts", "known") > of(device="cpu").minutes("texts", "known") >= requests.STARTING_MINUTES


def test_what_is_not_known_is_asked_for_generously():
    asked = of()
    assert asked.mem_mb("decode", "strange") == requests.UNKNOWN_MB
    assert asked.minutes("decode", "strange", "ssd") == requests.UNKNOWN_MINUTES


def megabytes(size):
    return pytest.approx(requests.WATCHING_MB + size / 1e6, abs=1)
