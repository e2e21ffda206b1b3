"""How many examples a dataset of the configuration has, as far as that can be known before it is read."""

from __future__ import annotations

from pathlib import Path

from fastvlm.config import Config
from fastvlm.config_datasets import Read
from fastvlm.data.captions_file import read_captions
from fastvlm.data.example import SPLITS
from fastvlm.data.splits import assign_splits, limit
from fastvlm.data.visdial import ROUNDS
from fastvlm.planning.hours import Counts

DECODED = ("validation", "test")  # of train images distillation takes no more than its own limit
# Rows of the published splits. Sources: the benchmarks' papers and pages; of COCO, Karpathy's file (train is train and restval).
PUBLISHED_ROWS = {
    "coco": {"train": 113287, "validation": 5000, "test": 5000},
    "nocaps": {"test": 4500}, "visdial": {"test": 2064}, "mm-vet": {"test": 218}, "llava-wild": {"test": 60}, "vqav2": {"test": 214354},
}  # fmt: skip


def count_examples(config: Config, dataset: str) -> tuple[Counts, str]:
    """Examples by split, and why a number that is needed is missing ("" where none is). A captions file that is there is counted.

    Raises `UserError` for a captions file that is not as expected.
    """
    knobs = config.datasets[dataset]
    limits = {split: getattr(knobs, split) for split in SPLITS}
    if not isinstance(knobs, Read):
        return limits, ""
    if knobs.benchmark != "captions":
        return _of_published(knobs, limits), ""
    path = Path(knobs.folder, knobs.captions)
    if path.is_file():
        splits = assign_splits({image.id: image.split for image in read_captions(path)}, knobs.validation)
        return {split: len(images) for split, images in limit(splits, limits, config.seed).items()}, ""
    unlimited = [split for split in DECODED if limits[split] is None]
    reason = f"{path} is not there, and no limit is set for {' or '.join(unlimited)}; put the file there or set one" if unlimited else ""
    return limits, reason


def _of_published(knobs: Read, limits: Counts) -> Counts:
    """Of a benchmark's own splits at most the limits; where there is one split only, what is held out is not in test."""
    rows = PUBLISHED_ROWS[knobs.benchmark]
    if "train" not in rows:
        held_out = {split: limits[split] for split in ("train", "validation")}
        rows = held_out | {"test": max(0, rows["test"] - sum(held_out.values()))}
    examples = ROUNDS if knobs.benchmark == "visdial" else 1
    return {split: examples * (rows[split] if limits[split] is None else min(rows[split], limits[split])) for split in SPLITS}
