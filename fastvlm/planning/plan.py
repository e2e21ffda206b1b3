"""The plan of an experiment: a row for each model and dataset, and what will not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastvlm import knobs
from fastvlm.config import Config
from fastvlm.planning import estimate, needs
from fastvlm.planning.hours import Counts, decode_tokens, text_steps
from fastvlm.planning.jobs import list_jobs
from fastvlm.planning.machine import Machine
from fastvlm.planning.rates import Measured, Rate, assume, choose
from fastvlm.planning.sources import Source


@dataclass(frozen=True)
class Row:
    """Of a model and dataset; `dataset` "" is what a model needs for all of them, `model` "" what belongs to no model.

    Bytes and hours are None where they are not known, or do not apply. `stages` are device bytes by stage.
    """

    model: str
    dataset: str
    jobs: int
    device: str = ""
    download_bytes: int | None = None
    device_bytes: int | None = None
    host_bytes: int | None = None
    rate: Rate | None = None
    hours: float | None = None
    stages: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What a plan is made from, beside the configuration: `counts` by dataset, `sources` by model, rates given and measured."""

    machine: Machine
    counts: Mapping[str, Counts]
    sources: Mapping[str, Source]
    given: Mapping[str, float]
    measured: Measured


def make_plan(config: Config, known: Known) -> list[Row]:
    """First what belongs to no model, then each model by itself and with each dataset; the jobs of all rows are all jobs."""
    jobs = Counter((job.model, job.dataset if job.model else "") for job in list_jobs(config))
    rows = [Row("", "", jobs["", ""])]
    for model in config.models:
        rows.append(_model_row(config, model, known, jobs[model, ""]))
        rows += [_dataset_row(config, model, dataset, known, jobs[model, dataset]) for dataset in config.datasets]
    return rows


def _model_row(config: Config, model: str, known: Known, jobs: int) -> Row:
    source, told = known.sources[model], knobs.arithmetic(config, model)
    device = known.machine.device(told["device"])
    if source.shape is None:
        return Row(model, "", jobs, device)
    found = needs.training_needs(config, model, source.shape, known.counts)
    stages = {"loading": estimate.load_bytes(source.shape, told["dtype"]), **{name: size for name, size in found.items() if size}}
    most = None if None in found.values() else max(stages.values())
    host = stages["loading"] if device == "cuda" else most
    hours = sum_known(text_hours(config, model, dataset, known) for dataset in config.datasets) if "texts" in stages else 0.0
    return Row(model, "", jobs, device, source.download_bytes, most, host, None, hours, stages)


def _dataset_row(config: Config, model: str, dataset: str, known: Known, jobs: int) -> Row:
    shape, told = known.sources[model].shape, knobs.arithmetic(config, model)
    device = known.machine.device(told["device"])
    rate, tokens = find_rate(config, model, dataset, known), decode_tokens(config, model, dataset, known.counts[dataset])
    hours = tokens / rate.tokens_per_second / 3600 if rate and tokens is not None else None
    if shape is None:
        return Row(model, dataset, jobs, device, rate=rate, hours=hours)
    size = needs.decode_needs(config, model, dataset, shape, device)
    host = estimate.load_bytes(shape, told["dtype"]) if device == "cuda" else size
    return Row(model, dataset, jobs, device, None, size, host, rate, hours, {"decode": size})


def text_hours(config: Config, model: str, dataset: str, known: Known) -> float | None:
    """Of generating the distillation texts of a dataset; None where rate or examples are not known."""
    rate, steps = find_rate(config, model, dataset, known), text_steps(config, dataset, known.counts[dataset])
    return steps / rate.tokens_per_second / 3600 if rate and steps is not None else None


def find_rate(config: Config, model: str, dataset: str, known: Known) -> Rate | None:
    """Given, measured or assumed; None of a model whose shape is not known."""
    found, shape = choose(model, dataset, known.given, known.measured), known.sources[model].shape
    if found or shape is None:
        return found
    told = knobs.arithmetic(config, model)
    return assume(shape, told["dtype"], known.machine.device(told["device"]))


def sum_known(values: Iterable[float | None]) -> float | None:
    """The sum; None if any of the values is not known."""
    values = list(values)
    return None if None in values else sum(values)
