"""`python -m benchmarks.memory`: does loading and decoding stay within 1.15 x the weights + the cache + 600 MB?

For checkpoints stored and loaded in half and in full precision, and for one that is converted while it is loaded. Each is
made on the spot, measured in a process of its own, and deleted. Linux only: it reads /proc.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import random_llava
from fastvlm.models.device import resolve_dtype
from fastvlm.table_file import write_table

CASES = {"bfloat16": ("bfloat16",), "float32": ("float32", "bfloat16")}  # as stored: as loaded
BYTES = ("checkpoint_bytes", "cache_bytes", "import_bytes", "peak_bytes", "anonymous_bytes", "mapped_bytes")
COLUMNS = ("stored", "loaded", *BYTES, "limit_bytes", "within")


def main(
    gigabytes: Annotated[float, typer.Option(help="Size of the weights in bfloat16; twice that in float32.")] = 2.0,
    output: Annotated[Path, typer.Option(help="The table to write.")] = Path("results/memory.csv"),
) -> None:
    rows = []
    for stored, dtypes in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            random_llava.save(Path(folder), int(gigabytes * 1e9 / 2), resolve_dtype(stored))
            rows += [{"stored": stored, "loaded": loaded} | measure(folder, loaded) for loaded in dtypes]
    write_table(output, COLUMNS, rows)
    print(*map(describe, rows), sep="\n")
    raise typer.Exit(not all(row["within"] for row in rows))


def measure(folder: str, dtype: str) -> dict[str, Any]:
    """Bytes that a process of its own needed, and whether they are within the limit."""
    command = [sys.executable, "-m", "benchmarks.load_and_decode", folder, dtype]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    limit = int(1.15 * found["checkpoint_bytes"] + found["cache_bytes"] + 600e6)
    return found | {"limit_bytes": limit, "within": int(found["peak_bytes"] <= limit)}


def describe(row: dict[str, Any]) -> str:
    checkpoint, _, imports, peak, anonymous, mapped, limit = (f"{row[name] / 1e9:.2f} GB" for name in (*BYTES, "limit_bytes"))
    return (
        f"{row['stored']} loaded as {row['loaded']}: weights {checkpoint}, peak {peak} (imports {imports}), limit {limit}: "
        f"{'within' if row['within'] else 'ABOVE'}; at the end {anonymous} anonymous, {mapped} mapped"
    )


if __name__ == "__main__":
    typer.run(main)
