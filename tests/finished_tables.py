"""The tables of a made-up experiment that ran to its end, for tests of what reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastvlm.data.example import write_manifest
from fastvlm.metrics.ceiling import write_ceiling
from fastvlm.metrics.gallery import write_gallery
from fastvlm.metrics.limits import write_limits
from fastvlm.metrics.means import write_means
from fastvlm.metrics.policies import write_policies
from fastvlm.metrics.quality import COLUMNS as SCORES
from fastvlm.metrics.speed import select
from fastvlm.rows import write_rows
from fastvlm.table_file import KEY_COLUMNS, read_table, write_table
from fastvlm.tables import write_tables
from tests import tiny
from tests.rows_factory import TUNED, cost_rows, write_decode_files

KNOBS = {"seed": 1, "resamples": 200, "confidence": 0.95, "context_bin": 16, "timed": True}
DATASETS = ("scenes-caption", "scenes-description")


def write_stand_ins(path: Path, task: str, examples: int) -> Path:
    """A manifest of drawn captions under the ids of the made-up rows, of any task."""
    drawn = tiny.examples(examples)
    write_manifest(path, (replace(example, id=f"test-{index}", task=task) for index, example in enumerate(drawn)))
    return path


def write_finished(folder: Path, examples: int = 12) -> Path:
    """All tables of two datasets below `folder`/results; returns that folder."""
    results = folder / "results"
    validation, test = [], []
    for dataset in DATASETS:
        validation += write_decode_files(folder / "validation", 8, TUNED, "validation", dataset=dataset)
        test += write_decode_files(folder, examples, dataset=dataset)
    results.mkdir(parents=True)
    select([*validation, *(path for path in test if path.parent.name in TUNED)], results / "selection.csv")
    write_rows(folder / "cost.jsonl", [row for dataset in DATASETS for row in cost_rows(dataset=dataset)])
    write_tables(KNOBS, test, [folder / "cost.jsonl"], results / "selection.csv", results)
    settings = [{column: record[column] for column in KEY_COLUMNS} for record in read_table(results / "speedup.csv")]
    scores = {"bleu_4": 0.61, "bleu_4_low": 0.58, "bleu_4_high": 0.64}
    tasks = {dataset: dataset.removeprefix("scenes-") for dataset in DATASETS}
    quality = [setting | scores | {"task": tasks[setting["dataset"]]} for setting in settings]
    for name, columns in SCORES.items():
        write_table(results / f"{name}.csv", columns, quality if name == "quality" else [])
    write_policies(KNOBS, test, results / "selection.csv", results / "policies.csv")
    write_ceiling(KNOBS, test, [folder / "cost.jsonl"], results / "selection.csv", results / "ceiling.csv")
    write_limits(KNOBS, test, results / "selection.csv", results / "limits.csv")
    manifests = [write_stand_ins(folder / f"{dataset}.jsonl", tasks[dataset], examples) for dataset in DATASETS]
    write_means(KNOBS, test, manifests, results / "selection.csv", results)
    write_gallery(
        [path for path in test if path.parent.name in ("baseline", "fastvlm")],
        manifests,
        results / "selection.csv",
        results / "gallery.json",
    )
    curve = [
        {"experiment": "scenes", "model": "llava-small", "stage": stage, "step": step, "seconds": step * 0.5, "loss": 3 / (1 + step)}
        | {"learning_rate": 1e-3}
        for stage in ("words", "captions")
        for step in range(10)
    ]
    write_table(results / "learning_curve.csv", tuple(curve[0]), curve)
    return results
