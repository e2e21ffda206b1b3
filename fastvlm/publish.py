"""Copies a finished experiment's tables, PNG figures and headline to where they are committed and the README shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

from fastvlm.errors import UserError
from fastvlm.figures import FIGURES
from fastvlm.tables import COLUMNS

TABLES = (*COLUMNS, "quality", "selection", "learning_curve")


def publish(experiment: str) -> None:
    """Replace `docs/results/<experiment>/` by what `results/` and `figures/` hold, both below the working directory.

    Raises `UserError` naming the first missing file of an experiment that is not finished; nothing is copied then.
    """
    results, figures = Path("results", experiment), Path("figures", experiment)
    required = [results / f"{table}.csv" for table in TABLES] + [results / "provenance.json"]
    required += [figures / f"{name}.png" for name in FIGURES] + [results / "headline.json"]
    for path in required:
        if not path.is_file():
            raise UserError(f"experiment '{experiment}' is not finished: {path} is missing; run it to the end first")
    tables_of_this_source = set(results.glob("*.csv"))
    _replace(Path("docs/results", experiment), sorted({*required, *tables_of_this_source}))


def _replace(folder: Path, files: list[Path]) -> None:
    fresh = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for path in files:
        shutil.copyfile(path, fresh / path.name)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
