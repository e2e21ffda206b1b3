"""Memory and disk of the machine that plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastvlm.models import memory
from fastvlm.planning.machine import Machine, survey


def test_the_machine_has_memory_and_a_disk():
    found = survey()
    assert found.host_bytes > 10**8
    assert found.free_disk_bytes >= 0


def test_a_container_has_less_than_the_machine(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    whole = survey().host_bytes
    limit.write_text("max\n")
    assert survey().host_bytes == whole
    limit.write_text("1000000\n")
    assert survey().host_bytes == 1_000_000


@pytest.mark.parametrize(
    ("gpu", "wanted", "device", "size"), [(None, "auto", "cpu", 5), (9, "auto", "cuda", 9), (9, "cpu", "cpu", 5), (None, "cuda", "cuda", 0)]
)
def test_where_a_model_runs(gpu, wanted, device, size):
    own = Machine(5, gpu, Path(), 0)
    assert (own.device(wanted), own.device_bytes(device)) == (device, size)
