"""The command line: one subcommand a stage. What a rule runs, a person can run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fastvlm.errors import UserError
from fastvlm.run_lock import end_with_run

# Modules of stages are imported inside the commands: torch takes seconds, and `--help` should not.

app = typer.Typer(help=__doc__, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)

Knobs = Annotated[str, typer.Option(help="the knobs that the stage reads, as JSON")]
Model = Annotated[Path, typer.Option(help="folder of the checkpoint")]
Manifests = Annotated[list[Path], typer.Option("--manifest", help="manifest of a dataset; give one for each dataset")]
Rows = Annotated[list[Path], typer.Option(help="decode rows; give one for each file")]
Imitations = Annotated[list[Path] | None, typer.Option("--imitation", help="folder of an imitation network; give one for each exit layer")]
Texts = Annotated[Path | None, typer.Option(help="the model's own texts; left out: references are used")]
Skips = Annotated[Path | None, typer.Option(help="skips.json of the search stage, for the method draft-verify")]
Tables = Annotated[Path, typer.Option(help="folder of the tables")]
Output = Annotated[Path, typer.Option(help="what is written, whole or not at all")]


@app.callback()
def before_any_stage() -> None:
    end_with_run()


@app.command()
def data(
    dataset: Annotated[str, typer.Option(help="name of the dataset")],
    seed: Annotated[int, typer.Option(help="seed of everything that is drawn")],
    knobs: Knobs,
    output: Output,
) -> None:
    """Write the manifest of a dataset: all its splits."""
    from fastvlm.data.dataset import build_manifest

    build_manifest(dataset, _parse(knobs), seed, output)


@app.command()
def pretrain(knobs: Knobs, manifest: Manifests, output: Output) -> None:
    """Train a small model on the train splits; resumes from its last checkpoint."""
    from fastvlm.models.pretrain import pretrain as train

    train(_parse(knobs), manifest, output)


@app.command()
def fetch(knobs: Knobs, output: Output) -> None:
    """Fetch a checkpoint from the Hugging Face hub into its cache; source.json in the folder says which."""
    from fastvlm.models.hub import fetch as download

    download(_parse(knobs), output)


@app.command()
def texts(knobs: Knobs, model: Model, manifest: Manifests, output: Output) -> None:
    """Write what the model itself says of train images, for distillation."""
    from fastvlm.imitation.texts import generate_texts

    generate_texts(_parse(knobs), model, manifest, output)


@app.command()
def distill(knobs: Knobs, model: Model, manifest: Manifests, output: Output, texts: Texts = None) -> None:
    """Train an imitation network for one exit layer of the frozen model."""
    from fastvlm.imitation.distill import distill as train

    train(_parse(knobs), model, manifest, texts, output)


@app.command()
def search(knobs: Knobs, model: Model, manifest: Manifests, output: Output, texts: Texts = None) -> None:
    """Search on held-out texts which sublayers the method draft-verify skips when it drafts."""
    from fastvlm.decoding.search import search as run

    run(_parse(knobs), model, manifest, texts, output)


@app.command()
def finetune(knobs: Knobs, model: Model, manifest: Manifests, output: Output) -> None:
    """Fine-tune a checkpoint so that its early exits speak; resumes from its last checkpoint."""
    from fastvlm.finetuning.finetune import finetune as train

    train(_parse(knobs), model, manifest, output)


@app.command()
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
    run(_parse(knobs), model, manifest, imitation or [], output, **given)


@app.command()
def merge(
    knobs: Knobs,
    manifest: Manifests,
    part: Annotated[list[Path], typer.Option(help="folder of a shard's rows; give one for each shard")],
    output: Output,
) -> None:
    """Put the shards of a method's decode rows into one file a dataset, in the manifest's order."""
    from fastvlm.decoding.merge import merge as join

    join(_parse(knobs), manifest, part, output)


@app.command()
def observe(knobs: Knobs, model: Model, manifest: Manifests, output: Output, imitation: Imitations = None, skips: Skips = None) -> None:
    """Note on validation how sure a drafter is of each draft, and which stand."""
    from fastvlm.decoding.observe import observe as watch

    watch(_parse(knobs), model, manifest, imitation or [], output, skips=skips)


@app.command()
def fit(
    knobs: Knobs,
    observations: Annotated[Path, typer.Option(help="what the observe stage wrote")],
    cost: Annotated[Path, typer.Option(help="the model's measured costs")],
    output: Output,
) -> None:
    """Fit the draft-length policies of a method on validation."""
    from fastvlm.decoding.fit import fit as fit_policies

    fit_policies(_parse(knobs), observations, cost, output)


@app.command()
def rank(knobs: Knobs, model: Model, manifest: Manifests, output: Output) -> None:
    """Rank the candidate answers of dialogues by how likely the model finds them."""
    from fastvlm.decoding.rank_stage import rank as run

    run(_parse(knobs), model, manifest, output)


@app.command()
def cost(knobs: Knobs, model: Model, manifest: Manifests, output: Output, imitation: Imitations = None, skips: Skips = None) -> None:
    """Measure the seconds of a draft step and of a target pass, and the parameters and bytes that drafting adds."""
    from fastvlm.metrics.cost_model import measure

    measure(_parse(knobs), model, manifest, imitation or [], output, skips=skips)


@app.command()
def see(rows: Rows, manifest: Manifests, output: Output) -> None:
    """Check on held-out scenes whether the model's texts name what is drawn."""
    from fastvlm.metrics.seeing import write_seeing

    write_seeing(rows, manifest, output)


@app.command()
def select(rows: Rows, output: Output) -> None:
    """Pick each method's exit layer and draft length on validation."""
    from fastvlm.metrics.speed import select as pick

    pick(rows, output)


@app.command()
def tables(
    knobs: Knobs,
    rows: Rows,
    cost: Annotated[list[Path], typer.Option(help="measured costs; give one for each model")],
    selection: Annotated[Path, typer.Option(help="selection.csv")],
    output: Tables,
) -> None:
    """Sum the test rows up to tables with intervals."""
    from fastvlm.tables import write_tables

    write_tables(_parse(knobs), rows, cost, selection, output)


@app.command()
def quality(
    knobs: Knobs,
    rows: Rows,
    manifest: Manifests,
    output: Tables,
    rank: Annotated[list[Path] | None, typer.Option(help="ranked candidates; give one for each model")] = None,
) -> None:
    """Score the texts against the references, by tag too, beside the ranking of candidates and what chance scores."""
    from fastvlm.metrics.quality import score

    score(_parse(knobs), rows, manifest, rank or [], output)


@app.command()
def compare(tables: Tables, output: Output) -> None:
    """Put what was measured of each method, at its selected setting, into one line a model and dataset."""
    from fastvlm.metrics.comparison import write_comparison

    write_comparison(tables, output)


@app.command()
def limits(
    knobs: Knobs,
    rows: Rows,
    selection: Annotated[Path, typer.Option(help="selection.csv")],
    output: Output,
) -> None:
    """Sum up the speed-ups by the length of the text."""
    from fastvlm.metrics.limits import write_limits

    write_limits(_parse(knobs), rows, selection, output)


@app.command()
def means(
    knobs: Knobs,
    rows: Rows,
    manifest: Manifests,
    selection: Annotated[Path, typer.Option(help="selection.csv")],
    output: Tables,
) -> None:
    """Take geometric means of the speed-ups over models and datasets, and rank the methods in each place."""
    from fastvlm.metrics.means import write_means

    write_means(_parse(knobs), rows, manifest, selection, output)


@app.command()
def policies(
    knobs: Knobs,
    rows: Rows,
    selection: Annotated[Path, typer.Option(help="selection.csv")],
    output: Output,
) -> None:
    """Compare the draft-length policies with the best fixed length."""
    from fastvlm.metrics.policies import write_policies

    write_policies(_parse(knobs), rows, selection, output)


@app.command()
def gallery(
    rows: Rows,
    manifest: Manifests,
    selection: Annotated[Path, typer.Option(help="selection.csv")],
    output: Output,
) -> None:
    """Gather a few test pictures with FastVLM's texts, and where each token came from."""
    from fastvlm.metrics.gallery import write_gallery

    write_gallery(rows, manifest, selection, output)


@app.command()
def ceiling(
    knobs: Knobs,
    rows: Rows,
    cost: Annotated[list[Path], typer.Option(help="measured costs; give one for each model")],
    selection: Annotated[Path, typer.Option(help="selection.csv")],
    output: Output,
) -> None:
    """Compare speed-ups with what acceptance and costs predict, and with those of drafts that are always right."""
    from fastvlm.metrics.ceiling import write_ceiling

    write_ceiling(_parse(knobs), rows, cost, selection, output)


@app.command()
def ablate(knobs: Knobs, output: Output) -> None:
    """Compare the networks of the ablations; the knobs say where each and its decode rows are."""
    from fastvlm.metrics.ablations import write_ablations

    write_ablations(_parse(knobs), output)


@app.command()
def judge(
    knobs: Knobs,
    rows: Rows,
    manifest: Manifests,
    cache: Annotated[Path, typer.Option(help="folder that keeps the judge's answers")],
    output: Output,
) -> None:
    """Have a judge score the texts of questions and long descriptions; without one the table is its header."""
    from fastvlm.judging.table import write_judged

    write_judged(_parse(knobs), rows, manifest, cache, output)


@app.command()
def published(knobs: Knobs, tables: Tables, output: Output) -> None:
    """Put published scores beside those of the same checkpoints and benchmarks."""
    from fastvlm.metrics.published import write_published

    write_published(_parse(knobs), tables, output)


@app.command()
def collect(
    experiment: Annotated[str, typer.Option(help="name of the experiment")],
    table: Annotated[list[str], typer.Option(help="MODEL=FILE; give one for each model")],
    output: Output,
) -> None:
    """Put the same table of several models into one."""
    from fastvlm.collect import collect as join

    join(experiment, dict(_by_model(table)), output)


@app.command()
def seeds(
    experiment: Annotated[str, typer.Option(help="name of the experiment")],
    network: Annotated[list[str], typer.Option(help="MODEL=FOLDER of an imitation network; give one for each model, seed and exit layer")],
    observations: Annotated[
        list[str], typer.Option(help="MODEL=FILE that the observe stage wrote; give one for each model and seed, in their order")
    ],
    output: Output,
) -> None:
    """Compare imitation networks that differ in their seed alone."""
    from fastvlm.metrics.seeds import write_seeds

    write_seeds(experiment, _by_model(network), _by_model(observations), output)


@app.command()
def headline(knobs: Knobs, tables: Tables, output: Output) -> None:
    """Write what the README says of the run, with its provenance."""
    from fastvlm.headline import write_headline

    write_headline(_parse(knobs), tables, output)


@app.command()
def figure(name: Annotated[str, typer.Argument(help="name of the figure")], tables: Tables, output: Output) -> None:
    """Draw one figure from the tables: a PNG, and a PDF beside it."""
    from fastvlm.figures import draw

    draw(name, tables, output)


@app.command()
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


@app.command()
def status(folder: Annotated[Path, typer.Option(help="folder that snakemake runs in")] = Path()) -> None:
    """Say how far the run of a folder is: jobs done, running, failed and waiting, the time that remains, the last error of each failure."""
    from fastvlm.status import describe

    typer.echo(describe(folder))


@app.command()
def publish(experiment: Annotated[str, typer.Option(help="name of a finished experiment")]) -> None:
    """Copy tables, PNG figures and headline of a finished experiment to docs/results."""
    from fastvlm.publish import publish as copy

    copy(experiment)


@app.command()
def schema() -> None:
    """Print the JSON schema of the configuration, as YAML."""
    from fastvlm.config import schema_as_yaml

    typer.echo(schema_as_yaml(), nl=False)


def main() -> None:
    """Run a subcommand; bad input ends with one line and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.stdout.flush(), sys.stderr.flush()
        # At once: a thread that still reads Parquet ahead would have the interpreter's end abort the process.
        os._exit(2)


def _by_model(pairs: list[str]) -> list[tuple[str, Path]]:
    """MODEL=PATH as (model, path)."""
    return [(model, Path(path)) for model, _, path in (pair.partition("=") for pair in pairs)]


def _parse(knobs: str) -> dict[str, Any]:
    try:
        return json.loads(knobs)
    except json.JSONDecodeError as error:
        raise UserError(f"--knobs: not JSON ({error}); expected an object with the knobs of the stage") from None
