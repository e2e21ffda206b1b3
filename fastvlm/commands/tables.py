"""From decode rows to tables and figures: stages that load no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastvlm.commands.options import Costs, Experiment, Knobs, Manifests, Output, Rows, Selection, Tables, by_model, parse

stages = typer.Typer()


@stages.command()
def see(rows: Rows, manifest: Manifests, output: Output) -> None:
    """Check on held-out scenes whether the model's texts name what is drawn."""
    from fastvlm.metrics.seeing import write_seeing

    write_seeing(rows, manifest, output)


@stages.command()
def select(rows: Rows, output: Output) -> None:
    """Pick each method's exit layer and draft length on validation."""
    from fastvlm.metrics.speed import select as pick

    pick(rows, output)


@stages.command()
def tables(
    knobs: Knobs,
    rows: Rows,
    cost: Costs,
    selection: Selection,
    output: Tables,
) -> None:
    """Sum the test rows up to tables with intervals."""
    from fastvlm.tables import write_tables

    write_tables(parse(knobs), rows, cost, selection, output)


@stages.command()
def quality(
    knobs: Knobs,
    rows: Rows,
    manifest: Manifests,
    output: Tables,
    rank: Annotated[list[Path] | None, typer.Option(help="ranked candidates; give one for each model")] = None,
) -> None:
    """Score the texts against the references, by tag too, beside the ranking of candidates and what chance scores."""
    from fastvlm.metrics.quality import score

    score(parse(knobs), rows, manifest, rank or [], output)


@stages.command()
def compare(tables: Tables, output: Output) -> None:
    """Put what was measured of each method, at its selected setting, into one line a model and dataset."""
    from fastvlm.metrics.comparison import write_comparison

    write_comparison(tables, output)


@stages.command()
def limits(
    knobs: Knobs,
    rows: Rows,
    selection: Selection,
    output: Output,
) -> None:
    """Sum up the speed-ups by the length of the text."""
    from fastvlm.metrics.limits import write_limits

    write_limits(parse(knobs), rows, selection, output)


@stages.command()
def means(
    knobs: Knobs,
    rows: Rows,
    manifest: Manifests,
    selection: Selection,
    output: Tables,
) -> None:
    """Take geometric means of the speed-ups over models and datasets, and rank the methods in each place."""
    from fastvlm.metrics.means import write_means

    write_means(parse(knobs), rows, manifest, selection, output)


@stages.command()
def policies(
    knobs: Knobs,
    rows: Rows,
    selection: Selection,
    output: Output,
) -> None:
    """Compare the draft-length policies with the best fixed length."""
    from fastvlm.metrics.policies import write_policies

    write_policies(parse(knobs), rows, selection, output)


@stages.command()
def gallery(
    rows: Rows,
    manifest: Manifests,
    selection: Selection,
    output: Output,
) -> None:
    """Gather a few test pictures with FastVLM's texts, and where each token came from."""
    from fastvlm.metrics.gallery import write_gallery

    write_gallery(rows, manifest, selection, output)


@stages.command()
def ceiling(
    knobs: Knobs,
    rows: Rows,
    cost: Costs,
    selection: Selection,
    output: Output,
) -> None:
    """Compare speed-ups with what acceptance and costs predict, and with those of drafts that are always right."""
    from fastvlm.metrics.ceiling import write_ceiling

    write_ceiling(parse(knobs), rows, cost, selection, output)


@stages.command()
def ablate(knobs: Knobs, output: Output) -> None:
    """Compare the networks of the ablations; the knobs say where each and its decode rows are."""
    from fastvlm.metrics.ablations import write_ablations

    write_ablations(parse(knobs), output)


@stages.command()
def judge(
    knobs: Knobs,
    rows: Rows,
    manifest: Manifests,
    cache: Annotated[Path, typer.Option(help="folder that keeps the judge's answers")],
    output: Output,
) -> None:
    """Have a judge score the texts of questions and long descriptions; without one the table is its header."""
    from fastvlm.judging.table import write_judged

    write_judged(parse(knobs), rows, manifest, cache, output)


@stages.command()
def published(knobs: Knobs, tables: Tables, output: Output) -> None:
    """Put published scores beside those of the same checkpoints and benchmarks."""
    from fastvlm.metrics.published import write_published

    write_published(parse(knobs), tables, output)


@stages.command()
def collect(
    experiment: Experiment,
    table: Annotated[list[str], typer.Option(help="MODEL=FILE; give one for each model")],
    output: Output,
) -> None:
    """Put the same table of several models into one."""
    from fastvlm.collect import collect as join

    join(experiment, dict(by_model(table)), output)


@stages.command()
def seeds(
    experiment: Experiment,
    network: Annotated[list[str], typer.Option(help="MODEL=FOLDER of an imitation network; give one for each model, seed and exit layer")],
    observations: Annotated[
        list[str], typer.Option(help="MODEL=FILE that the observe stage wrote; give one for each model and seed, in their order")
    ],
    output: Output,
) -> None:
    """Compare imitation networks that differ in their seed alone."""
    from fastvlm.metrics.seeds import write_seeds

    write_seeds(experiment, by_model(network), by_model(observations), output)


@stages.command()
def headline(knobs: Knobs, tables: Tables, output: Output) -> None:
    """Write what the README says of the run, with its provenance."""
    from fastvlm.headline import write_headline

    write_headline(parse(knobs), tables, output)


@stages.command()
def figure(name: Annotated[str, typer.Argument(help="name of the figure")], tables: Tables, output: Output) -> None:
    """Draw one figure from the tables: a PNG, and a PDF beside it."""
    from fastvlm.figures import draw

    draw(name, tables, output)
