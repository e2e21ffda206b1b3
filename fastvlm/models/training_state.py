"""Where an interrupted training stands: written whole, found again by the next run, ignored when the task has changed."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
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
    """Stage and step that come next, learning curve and evaluations so far, the tensors that they were reached with, and the weights
    that were best."""

    path: Path
    task: str
    stage: int = 0
    step: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, Any] | None = None
    best: dict[str, torch.Tensor] | None = None

    @staticmethod
    def find(path: Path, task: str) -> TrainingState:
        """The state saved at `path` if it can be read and is of the same task, else a fresh one."""
        saved = _load(path) if path.is_file() else None
        return TrainingState(**{**saved, "path": path}) if saved and saved["task"] == task else TrainingState(path, task)

    def save(self, module: nn.Module, optimizer: Together) -> None:
        tensors = {"module": module.state_dict(), "optimizer": optimizer.state_dict()}
        # Through a file of Python's, whose errors say what is wrong; torch's own writer says of a full disk that a position is unexpected.
        with whole_file(self.path) as partial, partial.open("wb") as file:
            torch.save({**vars(self), "path": None, "tensors": tensors}, file)

    def restore(self, module: nn.Module, optimizer: Together) -> None:
        """Put saved tensors back, once."""
        if self.tensors:
            module.load_state_dict(self.tensors["module"])
            optimizer.load_state_dict(self.tensors["optimizer"])
            self.tensors = None

    def keep(self, module: nn.Module) -> None:
        """Take the module's weights as the best so far."""
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}

    def clear(self) -> None:
        """Forget the state on disk, and whatever lies beside it: the training is done."""
        shutil.rmtree(self.path.parent, ignore_errors=True)


def _load(path: Path) -> dict[str, Any] | None:
    """What was saved; None, with a word on stderr, for a file that cannot be read, whatever a disk made of it."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)  # begun on a GPU, it may go on without
        # One of another version of this program is of another task too.
        return saved if saved.keys() == TrainingState.__dataclass_fields__.keys() else None
    except Exception as error:
        reason = str(error).split("\n")[0]
        print(f"{path}: the checkpoint cannot be read ({reason}); the training begins anew", file=sys.stderr, flush=True)
        return None
