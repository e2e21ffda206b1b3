"""The command line: one subcommand a stage. What a rule runs, a person can run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer

from fastvlm.commands import data_and_models, decoding, tables, tools
from fastvlm.errors import UserError
from fastvlm.run_lock import end_with_run

app = typer.Typer(help=__doc__, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
for group in (data_and_models.stages, decoding.stages, tables.stages, tools.tools):
    app.add_typer(group)  # without a name: its commands are the app's own


@app.callback()
def before_any_stage() -> None:
    end_with_run()


def main(command: Callable[[], None] = app) -> None:
    """Run a subcommand, or another command; bad input ends with one line and exit code 2."""
    try:
        command()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.stdout.flush(), sys.stderr.flush()
        # At once: a thread that still reads Parquet ahead would have the interpreter's end abort the process.
        os._exit(2)
