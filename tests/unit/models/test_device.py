"""Where and in which arithmetic."""

import pytest
import torch

from fastvlm.models.device import resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "units, expected",
    [
        ({"avx2": True}, "float32"),
        ({"avx512_f": True, "avx512_bf16": False}, "float32"),
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
    ],
)
def test_bfloat16_is_taken_where_the_processor_multiplies_in_it(monkeypatch, units, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    assert resolve_precision("auto", CPU) == expected


def test_a_precision_that_is_named_stands():
    assert resolve_precision("bfloat16", CPU) == "bfloat16"
