"""What a job asks a cluster for: memory and minutes, from the estimates that the plan shows."""

from __future__ import annotations

from pathlib import Path

from fastvlm import knobs
from fastvlm.config import Config
from fastvlm.planning import estimate, needs
from fastvlm.planning.examples import count_examples
from fastvlm.planning.hours import method_tokens, observe_tokens
from fastvlm.planning.plan import Known, find_rate, sum_known, text_hours
from fastvlm.planning.rates import read_measured
from fastvlm.planning.sources import find_source

# Of a model whose sizes are not known: enough for one of 13 B parameters, and a quarter of a night.
UNKNOWN_MB, UNKNOWN_MINUTES = 64_000, 240
WATCHING_MB = 1000  # Snakemake is there twice beside a job, and files that were read count as its memory until that is short
STARTING_MINUTES = 15  # imports, and the weights from a disk that others read too
CAUTION = 2.0  # rates are off by a factor of a few, and prefill is in none; what ran out of time goes on where it was


class Node:
    """The machine that a job will meet: nobody has seen it, but it has a GPU if one is asked for."""

    def device(self, wanted: str) -> str:
        return "cpu" if wanted == "cpu" else "cuda"


class Requests:
    """Of the jobs of an experiment; `results` is its folder, for measured speeds and what has been fetched."""

    def __init__(self, config: Config, results: Path):
        """Raises `UserError` for a folder that is no checkpoint or a captions file that is no good. Nothing is asked or downloaded."""
        self._config = config
        counts = {dataset: count_examples(config, dataset)[0] for dataset in config.datasets}
        sources = {model: find_source(config, model, results, ask_hub=False) for model in config.models}
        measured = read_measured(results) if config.decoding.timed else {}
        self._known = Known(Node(), counts, sources, {}, measured)

    def mem_mb(self, stage: str, model: str) -> int:
        """Host memory of a job of `stage`, MB of 10^6 bytes: where the model goes to a GPU, what loading it takes."""
        told, shape = knobs.arithmetic(self._config, model), self._known.sources[model].shape
        if shape is None:
            return UNKNOWN_MB
        loading = estimate.load_bytes(shape, told["dtype"])
        size = loading if self._known.machine.device(told["device"]) == "cuda" else max(loading, self._peak_on_cpu(stage, model))
        return WATCHING_MB + -(-size // 10**6)

    def minutes(self, stage: str, model: str, method: str | None = None) -> int:
        """Run time of a job of `stage`: texts of a model, or observe or decode with a method."""
        hours = sum_known(self._hours(stage, model, method, dataset) for dataset in self._config.datasets)
        return UNKNOWN_MINUTES if hours is None else round(STARTING_MINUTES + CAUTION * 60 * hours)

    def _peak_on_cpu(self, stage: str, model: str) -> int:
        """Bytes, of a known shape; what trains nothing needs no more than decoding."""
        shape = self._known.sources[model].shape
        training = needs.training_needs(self._config, model, shape, self._known.counts)
        decoding = max(needs.decode_needs(self._config, model, dataset, shape, "cpu") for dataset in self._config.datasets)
        return training.get(stage) or decoding

    def _hours(self, stage: str, model: str, method: str | None, dataset: str) -> float | None:
        if stage == "texts":
            return text_hours(self._config, model, dataset, self._known)
        rate, counts = find_rate(self._config, model, dataset, self._known), self._known.counts[dataset]
        if rate is None or counts["test"] is None or counts["validation"] is None:
            return None
        count = observe_tokens if stage == "observe" else method_tokens
        return count(self._config, model, method, dataset, counts) / rate.tokens_per_second / 3600
