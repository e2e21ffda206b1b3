"""Stages that run a finished model: decoding, what draft lengths are fitted on, costs, ranking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fastvlm.commands.options import Imitations, Knobs, Manifests, Model, Output, Skips, parse

stages = typer.Typer()


@stages.command()
def decode(
    knobs: Knobs,
    model: Model,
    manifest: Manifests,
    output: Output,
    imitation: Imitations = None,
    policies: Annotated[Path | None, typer.Option(help="fitted draft-length policies; left out: fixed lengths only")] = None,
    skips: Skips = None,
    journals: Annotated[Path | None, typer.Option(help="folder that keeps what is finished; left out: .journal in the output")] = None,
) -> None:
    """Decode datasets with a method at each of its settings, timed against plain decoding of the same example."""
    from fastvlm.decoding.run import decode as run

    given = {"policies": policies, "skips": skips, "journals": journals}
    run(parse(knobs), model, manifest, imitation or [], output, **given)


@stages.command()
def merge(
    knobs: Knobs,
    manifest: Manifests,
    part: Annotated[list[Path], typer.Option(help="folder of a shard's rows; give one for each shard")],
    output: Output,
) -> None:
    """Put the shards of a method's decode rows into one file a dataset, in the manifest's order."""
    from fastvlm.decoding.merge import merge as join

    join(parse(knobs), manifest, part, output)


@stages.command()
def observe(knobs: Knobs, model: Model, manifest: Manifests, output: Output, imitation: Imitations = None, skips: Skips = None) -> None:
    """Note on validation how sure a drafter is of each draft, and which stand."""
    from fastvlm.decoding.observe import observe as watch

    watch(parse(knobs), model, manifest, imitation or [], output, skips=skips)


@stages.command()
def fit(
    knobs: Knobs,
    observations: Annotated[Path, typer.Option(help="what the observe stage wrote")],
    cost: Annotated[Path, typer.Option(help="the model's measured costs")],
    output: Output,
) -> None:
    """Fit the draft-length policies of a method on validation."""
    from fastvlm.decoding.fit import fit as fit_policies

    fit_policies(parse(knobs), observations, cost, output)


@stages.command()
def rank(knobs: Knobs, model: Model, manifest: Manifests, output: Output) -> None:
    """Rank the candidate answers of dialogues by how likely the model finds them."""
    from fastvlm.decoding.rank_stage import rank as run

    run(parse(knobs), model, manifest, output)


@stages.command()
def cost(knobs: Knobs, model: Model, manifest: Manifests, output: Output, imitation: Imitations = None, skips: Skips = None) -> None:
    """Measure the seconds of plain decoding, of drafts and of verifications, and the parameters and bytes that drafting adds."""
    from fastvlm.metrics.cost_model import measure

    measure(parse(knobs), model, manifest, imitation or [], output, skips=skips)
