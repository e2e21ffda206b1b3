"""Texts that are not plain decoding's: how many, from where on, and how close the full model was to saying the same.

In float32 a drafting method has none. In half precision a pass over several tokens rounds otherwise than one over a
single token, so that the highest of two close logits may change: the gap says how close.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from fastvlm.methods import DRAFTING, claim
from fastvlm.metrics.runs import Row, are_drawn
from fastvlm.table_file import Record

COLUMNS = (
    "dtype",
    "claim",
    "different",
    "different_share",
    "first_difference_median",
    "first_difference_min",
    "logit_gap_median",
    "logit_gap_max",
)


def differences(rows: Sequence[Row]) -> Record:
    """The line of one setting: counts and shares of texts, positions in tokens, gaps in logits; None where no text differs.

    Of texts that are drawn nothing is counted: that they differ means nothing.
    """
    drawn = are_drawn(rows)
    different = None if drawn else sum(not row["equal_to_baseline"] for row in rows)
    positions = [row["first_difference"] for row in rows if row["first_difference"] is not None]
    gaps = [row["logit_gap"] for row in rows if row["logit_gap"] is not None]
    return {
        "dtype": rows[0]["dtype"],
        "claim": claim(rows[0]["method"], drawn=drawn),
        "different": different,
        "different_share": None if drawn else different / len(rows),
        "first_difference_median": median(positions) if positions else None,
        "first_difference_min": min(positions, default=None),
        "logit_gap_median": median(gaps) if gaps else None,
        "logit_gap_max": max(gaps, default=None),
    }


def broken_promises(records: Sequence[Record]) -> list[str]:
    """One line for each setting of a drafting method that differs from plain decoding in float32, where it must not."""
    lost = [record for record in records if record["method"] in DRAFTING and record["dtype"] == "float32" and record["different"]]
    return [
        f"warning: {record['model']}/{record['dataset']}/{record['method']} exit layer {record['exit_layer']} draft length"
        f" {record['draft_length']}: {record['different']} of {record['examples']} texts differ from plain decoding's in float32,"
        " expected none; see precision.csv"
        for record in lost
    ]
