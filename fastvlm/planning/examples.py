"""How many examples a dataset of the configuration has, as far as that can be known before it is read."""

from __future__ import annotations

from pathlib import Path

from fastvlm.config import Config
from fastvlm.data.captions_file import read_captions
from fastvlm.data.example import SPLITS
from fastvlm.data.splits import assign_splits, limit
from fastvlm.planning.hours import Counts

DECODED = ("validation", "test")  # of train images distillation takes no more than its own limit


def count_examples(config: Config, dataset: str) -> tuple[Counts, str]:
    """Examples by split, and why a number that is needed is missing ("" where none is). A captions file that is there is counted.

    Raises `UserError` for a captions file that is not as expected.
    """
    knobs = config.datasets[dataset]
    limits = {split: getattr(knobs, split) for split in SPLITS}
    if knobs.source != "files":
        return limits, ""
    path = Path(knobs.folder, knobs.captions)
    if path.is_file():
        splits = assign_splits({image.id: image.split for image in read_captions(path)}, knobs.validation)
        return {split: len(images) for split, images in limit(splits, limits, config.seed).items()}, ""
    unlimited = [split for split in DECODED if limits[split] is None]
    reason = f"{path} is not there, and no limit is set for {' or '.join(unlimited)}; put the file there or set one" if unlimited else ""
    return limits, reason
