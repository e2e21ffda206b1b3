"""What is known of the paper's checkpoints without asking anyone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from fastvlm.planning.shapes import Parameters, Shape

FILE = "checkpoints.yaml"


@dataclass(frozen=True)
class Facts:
    """A checkpoint: bytes of its safetensors files, its shape, and how sure that is. `sizes` is its whole record."""

    download_bytes: int
    shape: Shape
    confidence: str
    sizes: dict[str, Any]


@cache
def known_checkpoints() -> dict[str, Facts]:
    """Hub id -> facts; the file beside this module says where each number comes from."""
    records = yaml.safe_load(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    return {identity: _facts(record) for identity, record in records.items()}


def _facts(record: dict[str, Any]) -> Facts:
    own = {field.name: record[field.name] for field in fields(Shape)}
    shape = Shape(**own | {"parameters": Parameters(**record["parameters"])})
    return Facts(round(sum(record["gigabytes"]) * 1e9), shape, record["confidence"], record)
