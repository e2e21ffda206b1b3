"""What each part of the distillation is worth: the networks of the ablations, one line a model, dataset, factor and value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.errors import UserError
from fastvlm.imitation.card import read_card
from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.runs import Row, read_runs
from fastvlm.metrics.speed import advantage
from fastvlm.table_file import Record, read_table, write_table
from fastvlm.tables import DRAFTED, tabulate

KEYS = ("experiment", "model", "dataset", "factor", "value", "default", "exit_layer", "draft_length", "examples")
TRAINED = ("agreement", "parameters", "training_seconds")
SPEEDS = tuple(f"{name}{end}" for name in ("decode_speedup", "speedup_over_default") for end in ("", "_low", "_high"))
COLUMNS = (*KEYS, *TRAINED, *DRAFTED, "target_passes", "tokens_per_target_pass", *SPEEDS, "decode_tokens_per_second", "equal_to_baseline")


def write_ablations(knobs: Mapping[str, Any], output: Path) -> None:
    """Write `ablations.csv`.

    `agreement` is that of the network with the full model on validation, the other measures are of test images. Knobs: `lines`, each a
    dictionary of `model`, `factor`, `value`, `default` (0 or 1), `network` and `rows`, the folders of network and decode rows, and
    `default_rows`, that of the experiment's own network; `datasets`; `seed`, `resamples`, `confidence` (0 to 1), `context_bin`.
    `speedup_over_default` divides two speed-ups, each over plain decoding of its own process.

    Raises `UserError` where there is no line, or rows are missing or impossible.
    """
    if not knobs["lines"]:
        raise UserError("ablations: null, expected models, datasets, draft_length and factors in the configuration")
    write_table(output, COLUMNS, [record for line in knobs["lines"] for record in _records(knobs, line)])


def training_seconds(curve: Sequence[Record]) -> float:
    """Seconds of the steps of a learning curve, whose clock begins anew where the training was interrupted."""
    seconds = [record["seconds"] for record in curve]
    return sum(before for before, after in pairwise([*seconds, -1.0]) if after < before)


def _records(knobs: Mapping[str, Any], line: Mapping[str, Any]) -> Iterator[Record]:
    card, curve = read_card(Path(line["network"])), read_table(Path(line["network"], "learning_curve.csv"), "seconds")
    trained = {"agreement": card["agreement"], "parameters": card["parameters"], "training_seconds": training_seconds(curve)}
    named = {name: line[name] for name in ("model", "factor", "value", "default")}
    rows, default = (_read(knobs, line[name]) for name in ("rows", "default_rows"))
    tables = tabulate(knobs, rows)
    for speed, rate in zip(tables["speedup"], tables["acceptance"], strict=True):
        measured = named | trained | speed | rate | _over_default(knobs, rows, default, speed["dataset"])
        yield {column: measured[column] for column in COLUMNS}


def _read(knobs: Mapping[str, Any], folder: str) -> dict:
    return read_runs([Path(folder, f"{dataset}.jsonl") for dataset in knobs["datasets"]], "test")


def _over_default(knobs: Mapping[str, Any], rows: dict, default: dict, dataset: str) -> Record:
    own, rival = (_only(of, dataset) for of in (rows, default))
    weights = resample(len(own), knobs["resamples"], np.random.default_rng(knobs["seed"]))
    return advantage(own, rival, weights, knobs["confidence"]).columns("speedup_over_default")


def _only(runs: dict, dataset: str) -> list[Row]:
    """The rows of a dataset, of which there is one setting."""
    (rows,) = (of for setting, of in runs.items() if setting.dataset == dataset)
    return rows
