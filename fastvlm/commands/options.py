"""Options that stages share, and how their values are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fastvlm.errors import UserError

Experiment = Annotated[str, typer.Option(help="name of the experiment")]
Knobs = Annotated[str, typer.Option(help="the knobs that the stage reads, as JSON")]
Model = Annotated[Path, typer.Option(help="folder of the checkpoint")]
Manifests = Annotated[list[Path], typer.Option("--manifest", help="manifest of a dataset; give one for each dataset")]
Rows = Annotated[list[Path], typer.Option(help="decode rows; give one for each file")]
Imitations = Annotated[list[Path] | None, typer.Option("--imitation", help="folder of an imitation network; give one for each exit layer")]
Texts = Annotated[Path | None, typer.Option(help="the model's own texts; left out: references are used")]
Skips = Annotated[Path | None, typer.Option(help="skips.json of the search stage, for the method draft-verify")]
Costs = Annotated[list[Path], typer.Option(help="measured costs; give one for each model")]
Selection = Annotated[Path, typer.Option(help="selection.csv")]
Tables = Annotated[Path, typer.Option(help="folder of the tables")]
Output = Annotated[Path, typer.Option(help="what is written, whole or not at all")]


def by_model(pairs: list[str]) -> list[tuple[str, Path]]:
    """MODEL=PATH as (model, path)."""
    return [(model, Path(path)) for model, _, path in (pair.partition("=") for pair in pairs)]


def parse(knobs: str) -> dict[str, Any]:
    """The object that `--knobs` holds as JSON."""
    try:
        return json.loads(knobs)
    except json.JSONDecodeError as error:
        raise UserError(f"--knobs: not JSON ({error}); expected an object with the knobs of the stage") from None
