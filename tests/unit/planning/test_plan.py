"""The plan as a whole: rows, what is unknown, what will not fit, and the table on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fastvlm.planning import estimate
from fastvlm.planning.examples import count_examples
from fastvlm.planning.facts import known_checkpoints
from fastvlm.planning.hours import decode_tokens
from fastvlm.planning.jobs import list_jobs
from fastvlm.planning.machine import Machine
from fastvlm.planning.plan import Known, make_plan
from fastvlm.planning.report import describe, find_misfits, write_csv
from fastvlm.planning.sources import find_source
from tests.unit.planning.experiment import experiment

GB = 10**9
LAPTOP = Machine(8 * GB, None, Path("cache"), 10 * GB)
SERVER = Machine(500 * GB, 80 * GB, Path("cache"), 1000 * GB)
LLAVA = known_checkpoints()["llava-hf/llava-1.5-7b-hf"]


def planned(config, machine, given=None, measured=None):
    counts = {dataset: count_examples(config, dataset)[0] for dataset in config.datasets}
    sources = {model: find_source(config, model, Path("absent"), ask_hub=False) for model in config.models}
    return make_plan(config, Known(machine, counts, sources, given or {}, measured or {})), sources


def by_key(rows):
    return {(row.model, row.dataset): row for row in rows}


@pytest.fixture
def gpu():
    return experiment(device="auto", dtype="float16")


def test_rows_hold_every_job(gpu):
    rows, _ = planned(gpu, SERVER)
    assert sum(row.jobs for row in rows) == len(list_jobs(gpu))
    assert [row.dataset for row in rows if row.model == "known"] == ["", "drawn", "own"]


def test_a_known_checkpoint_on_a_gpu(gpu):
    rows = by_key(planned(gpu, SERVER, given={"known": 50.0})[0])
    model, drawn = rows["known", ""], rows["known", "drawn"]
    assert model.download_bytes == LLAVA.download_bytes
    assert (drawn.device, drawn.rate.origin) == ("cuda", "given")
    networks = 2 * estimate.network_parameters(LLAVA.shape, "transformer")
    assert drawn.device_bytes == estimate.decode_bytes(LLAVA.shape, "float16", new_tokens=16 + 4, networks=networks)
    assert drawn.host_bytes == estimate.load_bytes(LLAVA.shape, "float16")
    tokens = decode_tokens(gpu, "known", "drawn", {"train": 200, "validation": 4, "test": 6})
    assert drawn.hours == pytest.approx(tokens / 50 / 3600)


def test_what_is_not_known_is_not_made_up(gpu):
    rows, sources = planned(gpu, SERVER)
    row = by_key(rows)["strange", "own"]
    assert row.device_bytes is row.host_bytes is row.rate is row.hours is None
    text = describe("own", rows, sources, SERVER, {"own": "no file"})
    assert "strange: unknown: someone/else is none of the checkpoints whose sizes come with this package; give --ask-hub" in text
    assert "own: unknown: no file" in text


def test_what_fits_is_said(gpu):
    rows, sources = planned(gpu, SERVER)
    assert list(find_misfits(rows, SERVER)) == []
    assert "All that is known fits on this machine." in describe("own", rows, sources, SERVER, {})


def test_what_does_not_fit_is_said_with_the_numbers(gpu):
    memory, disk = find_misfits(planned(gpu, LAPTOP)[0], LAPTOP)
    # 14.1 GB of weights, 15 % and 0.6 GB.
    assert memory.startswith("WILL NOT FIT: known on cpu: loading 16.8 GB, distill ")
    assert memory.endswith("; this machine has 8.0 GB")
    assert disk == "WILL NOT FIT: downloads of 14.1 GB into cache; 10.0 GB are free"


def test_a_gpu_that_is_not_there_and_a_host_that_is_too_small():
    config = experiment(device="cuda", dtype="float16")
    device, host, _ = find_misfits(planned(config, LAPTOP)[0], LAPTOP)
    assert device.startswith("WILL NOT FIT: known on cuda: loading 16.8 GB") and device.endswith("this machine has no GPU")
    assert host == "WILL NOT FIT: known in host memory: 16.8 GB to load it; this machine has 8.0 GB"


def test_the_table_on_disk_has_bytes_and_empty_cells(gpu, tmp_path):
    write_csv(tmp_path / "plan.csv", planned(gpu, SERVER, measured={("known", "own"): 40.0})[0])
    with (tmp_path / "plan.csv").open(newline="") as handle:
        records = {(record["model"], record["dataset"]): record for record in csv.DictReader(handle)}
    assert records["known", ""]["download_bytes"] == str(LLAVA.download_bytes)
    assert (records["known", "own"]["rate"], records["known", "own"]["tokens_per_second"]) == ("measured", "40")
    assert records["strange", "own"]["device_bytes"] == records["strange", "own"]["hours"] == ""
