"""The quality stage: the scores of every method's texts, so that 'no loss' is a row and not a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastvlm.methods import claim
from fastvlm.metrics import chance, change, ranking, scores, seeing
from fastvlm.metrics.examples import Examples, examples_by_dataset, task_of
from fastvlm.metrics.runs import Runs, Setting, are_drawn, read_runs
from fastvlm.metrics.scores import TextSet, caption_sets, score_sets
from fastvlm.table_file import KEY_COLUMNS, Record, write_table

COLUMNS = {
    "quality": (*KEY_COLUMNS, "claim", "task", *scores.COLUMNS),
    "quality_by_tag": (*KEY_COLUMNS, "claim", "task", "tag", *scores.COLUMNS),
    "quality_change": change.COLUMNS,
    "ranking": ranking.COLUMNS,
    # Both count answers.
    "chance": ("experiment", "dataset", "examples", "task", *dict.fromkeys((*scores.COLUMNS, *seeing.COUNTS))),
}


def score(knobs: dict[str, Any], rows: list[Path], manifests: list[Path], rank: list[Path], output: Path) -> None:
    """Write `quality.csv`, `quality_by_tag.csv`, `quality_change.csv`, `ranking.csv` and `chance.csv` into the folder `output`.

    `rows` are decode rows, `rank` the rank stage's, `manifests` are named after their datasets; knobs: `seed`, `resamples`,
    `confidence` (0 to 1). Raises `UserError` before any table is written where an example has no reference, no row, or is not of
    the manifest's test split, where a dataset mixes tasks, and where Java fails.
    """
    runs = read_runs(rows, "test")
    experiment = next(iter(runs)).experiment
    examples = examples_by_dataset(manifests, runs)
    texts: dict[Setting, TextSet] = {s: (s.dataset, tuple((row["example"], row["text"]) for row in of)) for s, of in runs.items()}
    tagged = list(_by_tag(texts, examples))
    blind = {path.stem: (path.stem, said) for path in manifests if (said := chance.blind_texts(path, knobs["seed"]))}
    # Methods that change nothing share their texts: each distinct set is scored once.
    sets = [*texts.values(), *(part for _, _, part in tagged), *blind.values()]
    captioned = caption_sets(examples, sets)
    found = score_sets(knobs, examples, sets, captioned)

    def line(part: TextSet) -> Record:
        return {"examples": len(part[1]), "task": task_of(examples[part[0]])} | found[part]

    tables = {
        "quality": [_key(setting, runs) | line(texts[setting]) for setting in runs],
        "quality_by_tag": [_key(setting, runs) | {"tag": tag} | line(part) for setting, tag, part in tagged],
        "quality_change": [_key(setting, runs) | line for setting, line in change.tabulate(knobs, texts, examples, captioned)],
        "ranking": ranking.tabulate(knobs, experiment, rank, examples),
        "chance": [
            {"experiment": experiment, "dataset": name} | line(part) | seeing.count(part[1], examples[name]) for name, part in blind.items()
        ],
    }
    for name, columns in COLUMNS.items():
        write_table(output / f"{name}.csv", columns, tables[name])


def _key(setting: Setting, runs: Runs) -> Record:
    return setting._asdict() | {"claim": claim(setting.method, drawn=are_drawn(runs[setting]))}


def _by_tag(texts: dict[Setting, TextSet], examples: dict[str, Examples]) -> Iterator[tuple[Setting, str, TextSet]]:
    """Each distinct set of texts of a model and dataset in parts, a tag each, with the first setting that has it."""
    first = {(setting.model, of): setting for setting, of in reversed(texts.items())}
    for setting, (dataset, pairs) in texts.items():
        if first[setting.model, (dataset, pairs)] != setting:
            continue
        of = examples[dataset]
        for tag in sorted({tag for example in of.values() for tag in example.tags}):
            yield setting, tag, (dataset, tuple((key, text) for key, text in pairs if tag in of[key].tags))
