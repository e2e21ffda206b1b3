"""Whether results can be written where they are to lie, and whether the times of change there can be believed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fastvlm.errors import UserError

SLACK = 60.0  # seconds that the clocks of a file server and of this machine may be apart


def check_place(folder: Path) -> None:
    """Raise `UserError` where `folder` takes no files, or one in it was changed in the future.

    Snakemake runs again what is older than its input: of a file from the future, all that depends on it, at every start.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    if not os.access(there, os.W_OK):
        raise UserError(f"{there}: cannot be written to; expected a folder that takes files (a broken disk turns read-only)")
    now = time.time()
    for path in folder.rglob("*"):
        ahead = path.lstat().st_mtime - now
        if ahead > SLACK:
            raise UserError(
                f"{path}: was changed {ahead / 3600:.1f} hours from now, by this machine's clock; set the clock right, "
                "or give the file today's time with `touch`"
            )
