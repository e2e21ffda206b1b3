"""From datasets to models, imitation networks and fine-tuned backbones."""

from __future__ import annotations

from typing import Annotated

import typer

from fastvlm.commands.options import Knobs, Manifests, Model, Output, Texts, parse

stages = typer.Typer()


@stages.command()
def data(
    dataset: Annotated[str, typer.Option(help="name of the dataset")],
    seed: Annotated[int, typer.Option(help="seed of everything that is drawn")],
    knobs: Knobs,
    output: Output,
) -> None:
    """Write the manifest of a dataset: all its splits."""
    from fastvlm.data.dataset import build_manifest

    build_manifest(dataset, parse(knobs), seed, output)


@stages.command()
def pretrain(knobs: Knobs, manifest: Manifests, output: Output) -> None:
    """Train a small model on the train splits; resumes from its last checkpoint."""
    from fastvlm.models.pretrain import pretrain as train

    train(parse(knobs), manifest, output)


@stages.command()
def fetch(knobs: Knobs, output: Output) -> None:
    """Fetch a checkpoint from the Hugging Face hub into its cache; source.json in the folder says which."""
    from fastvlm.models.hub import fetch as download

    download(parse(knobs), output)


@stages.command()
def texts(knobs: Knobs, model: Model, manifest: Manifests, output: Output) -> None:
    """Write what the model itself says of train images, for distillation."""
    from fastvlm.imitation.texts import generate_texts

    generate_texts(parse(knobs), model, manifest, output)


@stages.command()
def distill(knobs: Knobs, model: Model, manifest: Manifests, output: Output, texts: Texts = None) -> None:
    """Train an imitation network for one exit layer of the frozen model."""
    from fastvlm.imitation.distill import distill as train

    train(parse(knobs), model, manifest, texts, output)


@stages.command()
def search(knobs: Knobs, model: Model, manifest: Manifests, output: Output, texts: Texts = None) -> None:
    """Search on held-out texts which sublayers the method draft-verify skips when it drafts."""
    from fastvlm.decoding.search import search as run

    run(parse(knobs), model, manifest, texts, output)


@stages.command()
def finetune(knobs: Knobs, model: Model, manifest: Manifests, output: Output) -> None:
    """Fine-tune a checkpoint so that its early exits speak; resumes from its last checkpoint."""
    from fastvlm.finetuning.finetune import finetune as train

    train(parse(knobs), model, manifest, output)
