"""The merge stage: the shards of a method's rows -> one file a dataset, in the manifest's order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastvlm.decoding.units import raced
from fastvlm.errors import UserError
from fastvlm.provenance import MACHINES, read_machines
from fastvlm.rows import read_rows, write_json, write_rows


def merge(knobs: dict[str, Any], manifests: Sequence[Path], parts: Sequence[Path], output: Path) -> None:
    """Write `<dataset>.jsonl`, one a manifest, and `machines.json` into the folder `output`; `parts` are the shards' folders.

    Knobs: `splits`, in their order, and `choose_on`, as they were decoded with. Raises `UserError` where an example has no rows, or rows
    in two shards.
    """
    for manifest in manifests:
        write_rows(output / manifest.with_suffix(".jsonl").name, _in_order(knobs, manifest, parts))
    write_json(output / MACHINES, read_machines(parts))


def _in_order(knobs: dict[str, Any], manifest: Path, parts: Sequence[Path]) -> list[dict[str, Any]]:
    where: dict[tuple, Path] = {}
    rows: dict[tuple, list[dict[str, Any]]] = {}
    for path in [part / f"{manifest.stem}.jsonl" for part in parts]:
        for row in read_rows(path):
            example = row["split"], row["example"]
            if where.setdefault(example, path) != path:
                raise UserError(f"{path}: example '{example[1]}' stands in {where[example]} too; decode it again")
            rows.setdefault(example, []).append(row)
    expected = [(split, example.id) for split in knobs["splits"] for example in raced(manifest, split, knobs["choose_on"])]
    if absent := [identity for identity in expected if identity not in rows]:
        raise UserError(f"{parts[0].parent}: no shard has rows of example '{absent[0][1]}' of {manifest.stem}; decode it again")
    return [row for example in expected for row in rows[example]]
