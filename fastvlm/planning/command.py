"""What `fastvlm plan` does: gather what is known, plan, say and write it."""

from __future__ import annotations

from pathlib import Path

from fastvlm.config import load_config
from fastvlm.planning.examples import count_examples
from fastvlm.planning.machine import survey
from fastvlm.planning.plan import Known, make_plan
from fastvlm.planning.rates import parse_given, read_measured
from fastvlm.planning.report import describe, write_csv
from fastvlm.planning.sources import find_source


def plan(configfile: Path, tokens_per_second: list[str], results: Path, *, ask_hub: bool, output: Path | None) -> str:
    """The plan of a configuration as text; with `output` also as a CSV file. Nothing is downloaded.

    `tokens_per_second` are MODEL=NUMBER texts. Raises `UserError` for a configuration, rate, captions file or folder that is no good.
    """
    config = load_config(configfile)
    given = parse_given(tokens_per_second, list(config.models))
    counted = {dataset: count_examples(config, dataset) for dataset in config.datasets}
    own = results / config.experiment
    sources = {model: find_source(config, model, own, ask_hub=ask_hub) for model in config.models}
    machine, measured = survey(), read_measured(own) if config.decoding.timed else {}
    rows = make_plan(config, Known(machine, {name: counts for name, (counts, _) in counted.items()}, sources, given, measured))
    if output:
        write_csv(output, rows)
    return describe(config.experiment, rows, sources, machine, {name: reason for name, (_, reason) in counted.items()})
