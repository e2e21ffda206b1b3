"""Fixtures that several tests share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

from tests import tiny

# No test asserts how long something takes.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# The models are tiny, and the other cores are at other tests.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Folder of a tiny random LLaVA."""
    return tiny.save_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def target(checkpoint):
    """The tiny LLaVA, float64."""
    return tiny.load(checkpoint)


@pytest.fixture(autouse=True)
def no_gradients():
    """Tests of inference run as inference does; those that train say so with `torch.enable_grad`."""
    with torch.no_grad():
        yield
