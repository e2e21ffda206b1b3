"""Published scores beside ours of the same checkpoint and benchmark, so that one sees whether the baseline is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from fastvlm.errors import UserError
from fastvlm.table_file import Record, read_table, write_table

FILE = "published.yaml"
BASELINE = "baseline"
# What turns ours into the scale of publications; the judge's scores are of that scale already.
SCALES = {
    **dict.fromkeys(("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider", "spice", "vqa_accuracy"), 100.0),
    "judge_score": 1.0,
}
VALUES = ("ours", "published", "difference", "examples", "published_examples")
COLUMNS = ("model", "dataset", "metric", "tag", *VALUES, "protocol_theirs", "protocol_ours", "source", "note")


@dataclass(frozen=True)
class Published:
    """A score of a publication on its own scale; `tag` names the part of the benchmark that it is of, empty for the whole.

    `unlike` says how its protocol differs from ours; `examples` is the size of the whole benchmark, None where the source does
    not say or scores another split; `mark` is V for a primary source, S for a copy.
    """

    checkpoint: str
    benchmark: str
    metric: str
    tag: str
    value: float
    source: str
    protocol: str
    unlike: tuple[str, ...]
    mark: str
    examples: int | None = None
    judge: str = ""


class Score(NamedTuple):
    """A score of ours on our scale, over `examples`; `judge` and `wording` where one judged."""

    model: str
    dataset: str
    metric: str
    tag: str
    value: float | None
    examples: int
    judge: str = ""
    wording: str = ""
    missing: int = 0


@cache
def published_scores() -> tuple[Published, ...]:
    """All of the file beside this module, in its order."""
    blocks = yaml.safe_load(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    return tuple(score for block in blocks for score in _scores_of(block))


def published_rows(checkpoint: str, benchmark: str) -> list[Published]:
    """What is published of a checkpoint, by its hub id, on `coco`, `nocaps`, `mm-vet`, `llava-wild` or `vqav2`; may be empty."""
    return [score for score in published_scores() if (score.checkpoint, score.benchmark) == (checkpoint, benchmark)]


def write_published(knobs: Mapping[str, Any], tables: Path, output: Path) -> None:
    """Write `published.csv` from `quality.csv`, `quality_by_tag.csv` and `judged.csv` in the folder `tables`.

    Knobs: `models` (name -> hub id) and `datasets` (name -> benchmark). Raises `UserError` where a benchmark is unknown or a table
    is absent or broken.
    """
    known = {score.benchmark for score in published_scores()}
    for dataset, benchmark in knobs["datasets"].items():
        if benchmark not in known:
            raise UserError(f"dataset '{dataset}': found benchmark '{benchmark}', expected one of {', '.join(sorted(known))}")
    scores = [*_qualities(tables / "quality.csv"), *_qualities(tables / "quality_by_tag.csv"), *_judged(tables / "judged.csv")]
    write_table(output, COLUMNS, beside(scores, knobs["models"], knobs["datasets"]))


def beside(scores: Iterable[Score], models: Mapping[str, str], datasets: Mapping[str, str]) -> Iterator[Record]:
    """A record of `COLUMNS` for each published score of a checkpoint and benchmark that ran; `ours` is None where we have none.

    `models` maps names to hub ids, `datasets` names to benchmarks. Both values and their difference are on the published scale.
    """
    ours = {(score.model, score.dataset, score.metric, score.tag): score for score in scores}
    whole = {(score.model, score.dataset): score.examples for score in ours.values() if not score.tag}
    for model, dataset in whole:
        for theirs in published_rows(models.get(model, ""), datasets.get(dataset, "")):
            mine = ours.get((model, dataset, theirs.metric, theirs.tag))
            yield {"model": model, "dataset": dataset} | _line(theirs, mine, whole[model, dataset])


def _line(theirs: Published, mine: Score | None, whole: int) -> Record:
    value = None if mine is None or mine.value is None else mine.value * SCALES[theirs.metric]
    return {
        "metric": theirs.metric,
        "tag": theirs.tag,
        "ours": value,
        "published": theirs.value,
        "difference": None if value is None else value - theirs.value,
        "examples": mine.examples if mine else None,
        "published_examples": None if theirs.tag else theirs.examples,
        "protocol_theirs": theirs.protocol,
        "protocol_ours": _protocol(mine),
        "source": f"{theirs.source} [{theirs.mark}]",
        "note": "; ".join(_notes(theirs, mine if value is not None else None, whole)),
    }


def _protocol(mine: Score | None) -> str:
    if mine is None:
        return ""
    judged = f", judge {mine.judge}, {mine.wording} wording" if mine.judge else ""
    return f"greedy, n={mine.examples}{judged}"


def _notes(theirs: Published, mine: Score | None, whole: int) -> Iterator[str]:
    """Why a difference need not be an error."""
    if mine is None:
        yield "not scored here"
    yield from (f"different protocol: {unlike}" for unlike in theirs.unlike)
    if theirs.examples and whole < theirs.examples:
        yield f"subset: {whole} of {theirs.examples}"
    if mine and theirs.judge and mine.judge != theirs.judge:
        yield f"different judge: {theirs.judge} against {mine.judge}"
    if mine and mine.wording == "own":
        yield "different wording: the benchmark's against our own"
    if mine and mine.missing:
        yield f"{mine.missing} of {mine.examples} not judged"


def _qualities(path: Path) -> Iterator[Score]:
    """The baseline's scores in a table of quality, whole or by tag; a metric that does not apply is None."""
    for record in read_table(path, "model", "dataset", "method", "examples"):
        if record["method"] == BASELINE:
            for metric in (name for name in SCALES if name in record):
                yield Score(record["model"], record["dataset"], metric, record.get("tag", ""), record[metric], record["examples"])


def _judged(path: Path) -> Iterator[Score]:
    for record in read_table(path, "model", "dataset", "method", "tag", "score", "examples", "missing", "judge", "wording"):
        if record["method"] == BASELINE:
            place = (record["model"], record["dataset"], "judge_score", record["tag"])
            yield Score(*place, record["score"], record["examples"], record["judge"], record["wording"], record["missing"])


def _scores_of(block: Mapping[str, Any]) -> Iterator[Published]:
    said = {key: block[key] for key in ("source", "protocol", "mark", "benchmark")}
    said |= {"unlike": tuple(block["unlike"]), "examples": block.get("examples"), "judge": block.get("judge", "")}
    for checkpoint, metrics in block["scores"].items():
        for metric, found in metrics.items():
            for tag, value in (found if isinstance(found, dict) else {"": found}).items():
                yield Published(checkpoint=checkpoint, metric=metric, tag=tag, value=float(value), **said)
