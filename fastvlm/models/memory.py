"""Whether a checkpoint's weights fit where they are to go, said before any is read."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import torch

from fastvlm.errors import UserError
from fastvlm.models.checkpoint import open_weights, weight_files

CONTAINER = Path("/sys/fs/cgroup")
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}  # safetensors' names of floats


def check_memory(folder: Path, device: torch.device, dtype: torch.dtype) -> None:
    """Raise `UserError` unless all weights fit in the device's free memory, and those that are converted in the host's.

    A lower bound, so that nothing is refused that could run: caches and activations come on top.
    """
    weights, converted = weight_bytes(folder, dtype)
    # Weights that are `dtype` on disk are mapped on their way to a GPU, and take no memory of the host.
    needs = [(device, weights)] if device.type == "cpu" else [(device, weights), (torch.device("cpu"), converted)]
    for place, need in needs:
        free = free_bytes(place)
        if need > free:
            name = str(dtype).removeprefix("torch.")
            raise UserError(
                f"{folder}: its weights take {need / 1e9:.1f} GB in {name}, but {place.type} has {free / 1e9:.1f} GB free; "
                f"expected a smaller dtype, another device or a smaller model"
            )


def weight_bytes(folder: Path, dtype: torch.dtype) -> tuple[int, int]:
    """(bytes of all weights in `dtype`, bytes of those that are of another dtype on disk), from the headers of the files."""
    total = converted = 0
    for file in weight_files(folder):
        for name, size in _tensors(file):
            total += size * dtype.itemsize
            converted += size * dtype.itemsize if DTYPES.get(name, dtype) != dtype else 0
    return total, converted


def free_bytes(device: torch.device) -> float:
    """Memory that can still be had; what torch holds and does not use counts as free."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return min(psutil.virtual_memory().available, _left_in_container())


def _tensors(file: Path) -> list[tuple[str, int]]:
    """(dtype in safetensors' words, elements) of each tensor of a file."""
    with open_weights(file) as tensors:
        slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118 (no mapping, only keys())
        return [(piece.get_dtype(), math.prod(piece.get_shape())) for piece in slices]


def _left_in_container() -> float:
    """Of the limit of the container that this runs in, what no process holds for good; infinite without a limit."""
    limit, held = CONTAINER / "memory.max", CONTAINER / "memory.stat"
    if not limit.is_file() or not limit.read_text().strip().isdigit():
        return math.inf
    statistics = dict(line.split() for line in held.read_text().splitlines())
    return int(limit.read_text()) - int(statistics["anon"])
