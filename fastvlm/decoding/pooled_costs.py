"""What acts cost beside plain decoding, from all datasets together: what else a machine does comes and goes, the ratio stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any


def pooled(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cost stage's rows of one model, each with its act's seconds on every dataset in place of those on its own alone.

    A second on another dataset counts for as much as plain decoding took there beside it, example by example, and is told in the time that
    plain decoding takes here. Datasets differ in the lengths of their texts: where that was measured (small models, on a CPU), ratios
    differed by no more than they do from one measurement to the next, which a busy machine moves by a tenth.
    Rows of a dataset without plain decoding are left out.
    """
    rows = list(rows)
    plain = {row["dataset"]: row["target_pass_seconds"] for row in rows if row["method"] == "baseline"}
    rows = [row for row in rows if row["dataset"] in plain]
    ratios = defaultdict[tuple, list[float]](list)
    for row in rows:
        for name in _seconds(row):
            ratios[_act(row, name)] += [taken / beside for taken, beside in zip(row[name], plain[row["dataset"]], strict=True)]

    def told_here(row: Mapping[str, Any], name: str) -> list[float]:
        return [ratio * fmean(plain[row["dataset"]]) for ratio in ratios[_act(row, name)]]

    return [{**row} | {name: told_here(row, name) for name in _seconds(row)} for row in rows]


def _seconds(row: Mapping[str, Any]) -> list[str]:
    return [name for name in row if name.endswith("_seconds")]


def _act(row: Mapping[str, Any], name: str) -> tuple:
    return row["method"], row["exit_layer"], row.get("tokens_in_pass"), name
