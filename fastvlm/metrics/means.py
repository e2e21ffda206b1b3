"""One number for many places: geometric means of speed-ups over cells, where a cell is a model on a dataset. With them go the ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from fastvlm.data.example import read_manifest
from fastvlm.methods import claim
from fastvlm.metrics import ranks
from fastvlm.metrics.bootstrap import geometric_mean, resample
from fastvlm.metrics.runs import Runs, Setting, are_drawn, group, read_runs
from fastvlm.metrics.speed import SPANS, SPEEDS, in_words, paired_seconds
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import Record, write_table

COLUMNS = ("experiment", "model", "dataset", "method", "over", "cells", "examples", *SPEEDS, "verdict", "claim")
ONE_WORD = "vqa"  # the task whose answers are one word: next to nothing is decoded after prefill, and a mean over texts leaves it out


def write_means(knobs: Mapping[str, Any], rows: Sequence[Path], manifests: Sequence[Path], selection: Path, output: Path) -> None:
    """Write `geometric_means.csv` and `ranks.csv` into the folder `output`: each method at the setting that validation chose.

    A mean is over all cells of texts (`model` and `dataset` are empty), over a dataset's models, or over a model's datasets of texts.
    `rows` are decode rows; knobs: `seed`, `resamples`, `confidence` (0 to 1). Raises `UserError` as `read_runs` and `keep_selected` do.
    """
    runs = read_runs(rows, "test")
    chosen = keep_selected([setting._asdict() for setting in runs], read_selection(selection))
    selected: Runs = {(setting := Setting(**record)): runs[setting] for record in chosen}
    texts = {path.stem for path in manifests if read_manifest(path, "test")[0].task != ONE_WORD}
    lines = list(ranks.lines(knobs, selected))
    write_table(output / "geometric_means.csv", COLUMNS, _lines(knobs, selected, texts))
    write_table(output / "ranks.csv", ranks.COLUMNS, lines)
    print("\n".join(ranks.behind(lines)))


def _lines(knobs: Mapping[str, Any], runs: Runs, texts: set[str]) -> Iterator[Record]:
    said = [setting for setting in runs if setting.dataset in texts]
    scopes = {("", ""): said} | {(model, ""): settings for (model,), settings in group(said, "model").items()}
    scopes |= {("", dataset): settings for (dataset,), settings in group(runs, "dataset").items()}
    for (model, dataset), settings in scopes.items():
        over = "models" if dataset else "datasets of texts" if model else "models and datasets of texts"
        for (experiment, method), cells in group(settings, "experiment", "method").items():
            key = {"experiment": experiment, "model": model, "dataset": dataset, "method": method, "over": over}
            yield key | _mean(knobs, runs, cells) | {"claim": claim(method, drawn=are_drawn(runs[cells[0]]))}


def _mean(knobs: Mapping[str, Any], runs: Runs, cells: Sequence[Setting]) -> Record:
    """Cells in which no time was spent do not count."""
    counted = [cell for cell in cells if sum(row["decode_seconds"] for row in runs[cell]) > 0]
    speeds: Record = {}
    for span in SPANS:
        ratios = [(*paired_seconds(runs[cell], span), _weights(knobs, cell.dataset, len(runs[cell]))) for cell in counted]
        speeds |= geometric_mean(ratios, knobs["confidence"]).columns(f"{span}_speedup")
    return {"cells": len(counted), "examples": sum(len(runs[cell]) for cell in counted), **speeds, "verdict": in_words(speeds)}


def _weights(knobs: Mapping[str, Any], dataset: str, examples: int) -> np.ndarray:
    """A dataset's own draws, the same for all models and methods that decoded its examples, so that the means are paired."""
    return resample(examples, knobs["resamples"], np.random.default_rng((knobs["seed"], crc32(dataset.encode()))))
