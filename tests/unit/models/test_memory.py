"""Weights that do not fit are refused before any is read, with the numbers; what could run is not."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from fastvlm.errors import UserError
from fastvlm.models import memory
from fastvlm.models.memory import check_memory, free_bytes, weight_bytes

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIGABYTE = 10**9


@pytest.fixture
def folder(tmp_path):
    """1000 weights in float32, 500 in bfloat16."""
    save_file({"a": torch.zeros(10, 100), "b": torch.zeros(500, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    return tmp_path


def test_bytes_are_those_of_the_dtype_asked_for(folder):
    assert weight_bytes(folder, torch.float32) == (6000, 2000)
    assert weight_bytes(folder, torch.bfloat16) == (3000, 2000)
    assert weight_bytes(folder, torch.float16) == (3000, 3000)


def test_all_shards_count(tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "one.safetensors")
    save_file({"b": torch.zeros(4)}, tmp_path / "two.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}')
    assert weight_bytes(tmp_path, torch.float32) == (28, 0)


def given(monkeypatch, weights: tuple[float, float], free: dict[str, float]) -> None:
    monkeypatch.setattr(memory, "weight_bytes", lambda folder, dtype: weights)
    monkeypatch.setattr(memory, "free_bytes", lambda device: free[device.type])


def test_too_large_for_the_cpu(monkeypatch, tmp_path):
    given(monkeypatch, (14.1 * GIGABYTE, 0), {"cpu": 8.25 * GIGABYTE})
    with pytest.raises(UserError) as error:
        check_memory(tmp_path, CPU, torch.float16)
    assert str(error.value).startswith(
        f"{tmp_path}: its weights take 14.1 GB in float16, but cpu has 8.2 GB free; expected a smaller dtype"
    )


def test_what_fits_is_let_through(monkeypatch, folder):
    check_memory(folder, CPU, torch.float32)
    given(monkeypatch, (5, 5), {"cpu": 5})
    check_memory(folder, CPU, torch.float32)


def test_a_gpu_holds_the_weights_and_the_host_those_that_are_converted(monkeypatch, tmp_path):
    given(monkeypatch, (5, 0), {"cpu": 0, "cuda": 5})
    check_memory(tmp_path, CUDA, torch.float16)
    given(monkeypatch, (5, 0), {"cpu": 9, "cuda": 4})
    with pytest.raises(UserError, match="but cuda has"):
        check_memory(tmp_path, CUDA, torch.float16)
    given(monkeypatch, (5, 3), {"cpu": 2, "cuda": 9})
    with pytest.raises(UserError, match="but cpu has"):
        check_memory(tmp_path, CUDA, torch.float16)


def test_a_container_has_what_its_limit_leaves(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    without = free_bytes(CPU)
    assert without > 0
    (tmp_path / "memory.stat").write_text("anon 3000\nfile 90000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes(CPU) > 10_000
    (tmp_path / "memory.max").write_text("10000\n")
    assert free_bytes(CPU) == 7000
