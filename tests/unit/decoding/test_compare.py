"""Where two texts part."""

from __future__ import annotations

import pytest

from fastvlm.decoding.compare import first_difference


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [([1, 2], [1, 2], None), ([1, 3], [1, 2], 1), ([1], [1, 2], 1), ([1, 2, 3], [1, 2], 2), ([9], [1], 0)],
)
def test_first_difference(ours, theirs, expected):
    assert first_difference(ours, theirs) == expected
