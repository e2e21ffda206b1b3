"""The test examples that decode rows are of, and refused where they are not the manifests'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fastvlm.data.example import Example, read_manifest
from fastvlm.errors import UserError
from fastvlm.metrics.runs import Runs

Examples = Mapping[str, Example]


def examples_by_dataset(manifests: Sequence[Path], runs: Runs) -> dict[str, Examples]:
    """Name of a dataset -> its test examples by id; manifests are named after their datasets.

    Raises `UserError` where a manifest is absent, an example has no reference, a dataset mixes tasks, and where the rows of a
    setting are not of exactly these examples.
    """
    examples = {path.stem: _examples(path) for path in manifests}
    for setting, rows in runs.items():
        if setting.dataset not in examples:
            raise UserError(f"{setting}: no manifest named {setting.dataset}.jsonl was given; expected one for each dataset")
        expected, decoded = examples[setting.dataset].keys(), {row["example"] for row in rows}
        if decoded != expected:
            what = f"example '{min(decoded ^ expected)}' is in one and not in the other"
            raise UserError(f"{setting}: {len(decoded)} examples decoded, {len(expected)} in the manifest's test split: {what}")
    return examples


def task_of(examples: Examples) -> str:
    """That of a dataset's examples, of which each dataset has one."""
    return next(iter(examples.values())).task


def _examples(manifest: Path) -> Examples:
    if not manifest.is_file():
        raise UserError(f"{manifest}: no such manifest; run the data stage first")
    examples = {example.id: example for example in read_manifest(manifest, "test")}
    for example in examples.values():
        if not any(text.strip() for text in example.references):
            raise UserError(f"{manifest}: example '{example.id}' has no reference; expected at least one with words")
        if example.task != task_of(examples):
            raise UserError(
                f"{manifest}: example '{example.id}' is of task '{example.task}', others of '{task_of(examples)}'; expected one"
            )
    return examples
