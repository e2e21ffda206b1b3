"""Copies a finished experiment's tables, PNG figures and headline to where they are committed and the README shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from fastvlm.errors import UserError
from fastvlm.figures import FIGURES, ON_REQUEST
from fastvlm.metrics.quality import COLUMNS as SCORES
from fastvlm.readme import update_readme
from fastvlm.tables import COLUMNS

TABLES = (*COLUMNS, *SCORES, "selection", "policies", "ceiling", "comparison", "limits", "geometric_means", "ranks")


def publish(experiment: str) -> None:
    """Replace `docs/results/<experiment>/` by what `results/` and `figures/` hold, all below the working directory, and the
    experiment's numbers in `README.md` by the new ones.

    Raises `UserError` naming the first missing file of an experiment that is not finished; nothing is copied then.
    """
    required = _required(Path("results", experiment), Path("figures", experiment))
    for path in required:
        if not path.is_file():
            raise UserError(f"experiment '{experiment}' is not finished: {path} is missing; run it to the end first")
    # Some tables depend on the experiment: only drawn scenes can say what the model sees, only a judge what it says of texts,
    # and ablations are a target of their own.
    published = Path("docs/results", experiment)
    asked_for = [path for name in ON_REQUEST if (path := Path("figures", experiment, f"{name}.png")).is_file()]
    _replace(published, sorted({*required, *asked_for, *Path("results", experiment).glob("*.csv")}))
    if Path("README.md").is_file():
        update_readme(Path("README.md"), published)


def _required(results: Path, figures: Path) -> list[Path]:
    trained = any(results.glob("models/*/learning_curve.csv"))
    names = [name for name in FIGURES if trained or name != "learning_curve"]
    tables = [*TABLES, "learning_curve"] if trained else TABLES
    paths = [results / f"{table}.csv" for table in tables] + [figures / f"{name}.png" for name in names]
    return [*paths, results / "provenance.json", results / "headline.json"]


def _replace(folder: Path, files: list[Path]) -> None:
    fresh = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for path in files:
        (_copy_small if path.suffix == ".png" else shutil.copyfile)(path, fresh / path.name)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)


def _copy_small(figure: Path, copy: Path) -> None:
    """A figure has few colours: 256 of them take a third of the bytes, in every clone and whenever the README is read."""
    with Image.open(figure) as drawn:
        drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(copy, optimize=True)
