"""Where an interrupted training stands: written whole, found again by the next run, ignored when the task has changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fastvlm.models.muon import Together
from fastvlm.rows import whole_file


def fingerprint(knobs: dict[str, Any], inputs: list[Path], code: str) -> str:
    """SHA-256 of all that decides how a training goes."""
    digest = hashlib.sha256(json.dumps(knobs, sort_keys=True).encode() + code.encode())
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass
class TrainingState:
    """Stage and step that come next, learning curve and evaluations so far, and the tensors that they were reached with."""

    path: Path
    task: str
    stage: int = 0
    step: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, Any] | None = None

    @staticmethod
    def find(path: Path, task: str) -> TrainingState:
        """The state saved at `path` if it is of the same task, else a fresh one."""
        state = TrainingState(path, task)
        if path.is_file():
            saved = torch.load(path, map_location="cpu", weights_only=True)  # begun on a GPU, it may go on without
            if saved["task"] == task:
                return TrainingState(**{**saved, "path": path})
        return state

    def save(self, module: nn.Module, optimizer: Together) -> None:
        tensors = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
        with whole_file(self.path) as partial:
            torch.save({**vars(self), "path": None, "tensors": tensors}, partial)

    def restore(self, module: nn.Module, optimizer: Together) -> None:
        """Put saved tensors back, once."""
        if self.tensors:
            module.load_state_dict(self.tensors["module"])
            optimizer.load_state_dict(self.tensors["optimizer"])
            self.tensors = None

    def clear(self) -> None:
        """Forget the state on disk, and whatever lies beside it: the training is done."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
