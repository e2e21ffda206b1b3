"""Decode rows grouped by setting, and refused unless every setting holds every example exactly once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from fastvlm.errors import UserError
from fastvlm.rows import read_rows

Row = dict[str, Any]
SECONDS = ("prefill_seconds", "decode_seconds", "baseline_prefill_seconds", "baseline_decode_seconds")
FIELDS = ("experiment", "model", "dataset", "split", "method", "policy", "exit_layer", "draft_length", "example", "text")
FIELDS += ("dtype", "output_tokens", "equal_to_baseline", "first_difference", "logit_gap", "passes", "machine", *SECONDS)


class Setting(NamedTuple):
    """What one line of a table is about: the first seven key columns, in their order."""

    experiment: str
    model: str
    dataset: str
    method: str
    policy: str
    exit_layer: int | None
    draft_length: int | None

    def __str__(self) -> str:
        knobs = f" exit layer {self.exit_layer} draft length {self.draft_length}" if self.draft_length is not None else ""
        return f"{self.model}/{self.dataset}/{self.method}{knobs}"


Runs = dict[Setting, list[Row]]


def read_runs(paths: Sequence[Path], split: str) -> Runs:
    """The rows of a split of every setting, all in the same order of examples within a model and dataset, so that they are paired.

    Models, datasets and methods come in the order of the files; exit layers and draft lengths ascend.
    Raises `UserError` where a file is absent or broken, no row is of the split, an example is missing or stands twice,
    or a model and dataset lacks a method, an exit layer or a draft length that its neighbours have.
    """
    runs: Runs = {}
    for path in paths:
        for row in _rows_of(path, split):
            runs.setdefault(Setting(*(row[field] for field in Setting._fields)), []).append(row)
    if not runs:
        raise UserError(f"no decode row of split '{split}' in {len(paths)} files; expected at least one")
    _refuse_holes(runs)
    _refuse_missing_methods(runs)
    return _in_order(runs)


def are_drawn(rows: Sequence[Row]) -> bool:
    """Whether the texts of a setting are drawn, so that none was compared with plain decoding's."""
    return rows[0]["equal_to_baseline"] is None


def group(settings: Iterable[Setting], *fields: str) -> dict[tuple, list[Setting]]:
    """Settings by the values of `fields`, in the order of first appearance."""
    groups: dict[tuple, list[Setting]] = {}
    for setting in settings:
        groups.setdefault(tuple(getattr(setting, field) for field in fields), []).append(setting)
    return groups


def _rows_of(path: Path, split: str) -> Iterator[Row]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the rows that the decode stage writes")
    try:
        rows = read_rows(path)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON lines ({error.msg}); run the decode stage again") from None
    if not rows:
        raise UserError(f"{path}: no row; expected one an example and draft length")
    for number, row in enumerate(rows, start=1):
        missing = [field for field in FIELDS if field not in row]
        if missing:
            raise UserError(f"{path}: line {number} has no '{missing[0]}'; run the decode stage again")
        if row["split"] != split:
            continue
        if not _times_can_be(row):
            raise UserError(f"{path}: line {number} has a time that is negative or not finite; run the decode stage again")
        yield row


def _times_can_be(row: Row) -> bool:
    # `generate` decodes in what it takes beyond one token: of a text of one token, a difference of noise that may be below 0.
    whole = row["prefill_seconds"] + row["decode_seconds"]
    return all(math.isfinite(row[field]) for field in SECONDS) and min(whole, *(row[f] for f in SECONDS if f != "decode_seconds")) >= 0


def _refuse_holes(runs: Runs) -> None:
    for settings in group(runs, "model", "dataset").values():
        expected = dict.fromkeys(row["example"] for setting in settings for row in runs[setting])
        for setting in settings:
            seen = [row["example"] for row in runs[setting]]
            twice = next((example for example in expected if seen.count(example) > 1), None) if len(seen) > len(set(seen)) else None
            if twice is not None:
                raise UserError(f"{setting}: example '{twice}' stands twice; expected one row an example")
            absent = expected.keys() - set(seen)
            if absent:
                raise UserError(f"{setting}: no row for example '{min(absent)}' ({len(seen)} of {len(expected)} examples); decode it again")


def _refuse_missing_methods(runs: Runs) -> None:
    methods = group(runs, "method", "policy")
    for (model, dataset), settings in group(runs, "model", "dataset").items():
        for absent in methods.keys() - group(settings, "method", "policy").keys():
            raise UserError(f"{model}/{dataset}: no row of method '{absent[0]}', which other models or datasets have; decode it too")
        for alike in group(settings, "method", "policy").values():
            grid = product(dict.fromkeys(s.exit_layer for s in alike), dict.fromkeys(s.draft_length for s in alike))
            for exit_layer, draft_length in grid:
                setting = alike[0]._replace(exit_layer=exit_layer, draft_length=draft_length)
                if setting not in runs:
                    raise UserError(f"{setting}: no row, though its neighbours have some; decode it again")


def _in_order(runs: Runs) -> Runs:
    ordered: Runs = {}
    for models in group(runs, "model").values():
        for settings in group(models, "dataset").values():
            place = {row["example"]: index for index, row in enumerate(runs[settings[0]])}
            for alike in group(settings, "method", "policy").values():
                for setting in sorted(alike, key=lambda s: (s.exit_layer or 0, s.draft_length or 0)):
                    ordered[setting] = sorted(runs[setting], key=lambda row: place[row["example"]])
    return ordered
