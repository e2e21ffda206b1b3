"""The benchmarks that are read, not drawn: from a folder of files or from the hub to examples, by one path for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastvlm.data import captions_folder, coco, llava_wild, mm_vet, nocaps, visdial, vqa
from fastvlm.data.example import SPLITS, Example, hash_pixels
from fastvlm.data.pictures import open_image
from fastvlm.data.published import Published
from fastvlm.data.splits import limit
from fastvlm.errors import UserError
from fastvlm.progress import progress
from fastvlm.rows import write_json

BENCHMARKS = {
    "captions": captions_folder, "coco": coco, "nocaps": nocaps, "visdial": visdial,
    "mm-vet": mm_vet, "llava-wild": llava_wild, "vqav2": vqa,
}  # fmt: skip


def read_examples(name: str, knobs: dict[str, Any], seed: int, manifest: Path) -> Iterator[Example]:
    """The examples of a dataset that is read, split by split, in the order of the ids.

    Everything but the pixels is checked before the first is yielded. Pictures from the hub are written into the folder
    `<manifest's stem>` beside it, and once the last example is out, where all is from and what was drawn into `<stem>.source.json`.
    Raises `UserError` naming file, repository or record.
    """
    published = _published(name, knobs, manifest)
    chosen = limit(published.splits, knobs, seed)
    for split in SPLITS:
        if not chosen[split] and knobs[split] != 0:
            raise UserError(f"{published.where}: no image for the split '{split}' of dataset '{name}', expected at least one")
    rows = published.rows([identity for split in SPLITS for identity in chosen[split]])
    for split in filter(chosen.get, SPLITS):
        for identity in progress(chosen[split], f"{name} {split}"):
            digest = hash_pixels(open_image(rows[identity].image))
            for example in rows[identity].examples:
                yield replace(example, split=split, image=str(rows[identity].image), sha256=digest)
    drawn = {split: len(identities) for split, identities in chosen.items()}
    of = Counter(published.splits.values())
    record = {"benchmark": knobs["benchmark"], **published.origin, "seed": seed, "drawn": drawn, "of": {s: of[s] for s in SPLITS}}
    write_json(manifest.with_suffix(".source.json"), record)


def _published(name: str, knobs: dict[str, Any], manifest: Path) -> Published:
    benchmark = BENCHMARKS[knobs["benchmark"]]
    if knobs["source"] == "files":
        return benchmark.published(name, knobs)
    from fastvlm.data import hub_dataset  # takes seconds to import, and who reads files needs none of it

    return hub_dataset.published(name, knobs, benchmark.HUB, manifest.with_suffix(""))
