"""A checkpoint survives what may happen while it is written, and one that did not survive is told apart."""

from __future__ import annotations

import errno
import io

import pytest
import torch
from torch import nn

from fastvlm.errors import UserError
from fastvlm.models import training_state
from fastvlm.models.training_state import TrainingState
from fastvlm.rows import whole_file


@pytest.fixture
def saved(tmp_path):
    """(state on disk at step 3, module, optimizer)."""
    module = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    state = TrainingState(tmp_path / ".checkpoint/state.pt", "task", step=3)
    state.keep(module)
    state.save(module, optimizer)
    return state, module, optimizer


def test_a_state_is_found_with_its_best_weights(saved):
    state, module, _ = saved
    found = TrainingState.find(state.path, "task")
    assert found.step == 3 and TrainingState.find(state.path, "other").step == 0
    assert torch.equal(found.best["weight"], module.weight)
    with torch.no_grad():
        module.weight += 1
    assert not torch.equal(state.best["weight"], module.weight)


def test_a_checkpoint_cut_off_anywhere_is_said_and_begun_anew(saved, capsys):
    state, *_ = saved
    whole = state.path.read_bytes()
    for end in [0, 1, 100, len(whole) // 2, len(whole) - 1]:
        state.path.write_bytes(whole[:end])
        assert TrainingState.find(state.path, "task").step == 0
        assert f"{state.path}: the checkpoint cannot be read (" in capsys.readouterr().err


def test_one_of_another_version_is_of_another_task(saved, capsys):
    state, *_ = saved
    torch.save({"task": "task", "step": 3}, state.path)
    assert TrainingState.find(state.path, "task").step == 0


class SmallDisk(io.BytesIO):
    def write(self, data):
        if self.tell() + len(data) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("numbers", [10, 200, 300, 10_000])
def test_of_a_full_disk_the_error_says_so_wherever_torch_was(tmp_path, numbers):
    """Over large tensors its writer breaks off with an error of its own, which names a position."""
    with pytest.raises(UserError, match="the disk is full"), whole_file(tmp_path / "state.pt"):
        torch.save({"tensors": [torch.zeros(numbers), torch.zeros(3)]}, SmallDisk())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(30, "Read-only file system")])
def test_what_cannot_be_written_is_one_line_and_the_one_before_stays(saved, monkeypatch, error):
    state, module, optimizer = saved
    before = state.path.read_bytes()

    def full(value, file):
        file.write(b"half")
        raise error

    monkeypatch.setattr(training_state.torch, "save", full)
    state.step = 9
    with pytest.raises(UserError, match=r"state\.pt: (the disk is full; make room and start again|cannot be written \(read-only file)"):
        state.save(module, optimizer)
    assert [path.name for path in state.path.parent.iterdir()] == ["state.pt"] and state.path.read_bytes() == before
