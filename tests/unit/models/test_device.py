"""Where and in which arithmetic."""

import pytest
import torch

from fastvlm.models.device import resolve_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_a_processor_trains_in_full_precision_whatever_it_can():
    assert resolve_precision("auto", CPU) == "float32"


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_trains_in_half_precision_if_it_multiplies_in_it(monkeypatch, native, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native and not including_emulation)
    assert resolve_precision("auto", CUDA) == expected


def test_a_precision_that_is_named_stands():
    assert resolve_precision("bfloat16", CPU) == "bfloat16"
