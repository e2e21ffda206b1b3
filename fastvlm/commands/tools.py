"""What a person asks of an experiment: no rule runs these."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

tools = typer.Typer()


@tools.command()
def plan(
    configfile: Annotated[Path, typer.Option(help="configuration of the experiment")],
    tokens_per_second: Annotated[
        list[str] | None, typer.Option(help="MODEL=NUMBER: speed of plain decoding; give one for each model; left out: measured or assumed")
    ] = None,
    results: Annotated[Path, typer.Option(help="folder of finished experiments, for measured speeds")] = Path("results"),
    ask_hub: Annotated[
        bool, typer.Option("--ask-hub", help="ask the hub for the sizes of its checkpoints; no weights are fetched")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="the table as a CSV file too")] = None,
) -> None:
    """Say what an experiment downloads, how much memory, how many jobs and hours it takes, and what will not fit here."""
    from fastvlm.planning.command import plan as make

    typer.echo(make(configfile, tokens_per_second or [], results, ask_hub=ask_hub, output=output))


@tools.command()
def status(folder: Annotated[Path, typer.Option(help="folder that snakemake runs in")] = Path()) -> None:
    """Say how far the run of a folder is: jobs done, running, failed and waiting, the time that remains, the last error of each failure."""
    from fastvlm.status import describe

    typer.echo(describe(folder))


@tools.command()
def publish(experiment: Annotated[str, typer.Option(help="name of a finished experiment")]) -> None:
    """Copy tables, PNG figures and headline of a finished experiment to docs/results."""
    from fastvlm.publish import publish as copy

    copy(experiment)


@tools.command()
def schema() -> None:
    """Print the JSON schema of the configuration, as YAML."""
    from fastvlm.config import schema_as_yaml

    typer.echo(schema_as_yaml(), nl=False)
