"""The rank stage: the candidate answers of each round of a dialogue, by how likely the model finds them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastvlm.data.example import Example, read_manifest
from fastvlm.decoding.rank import log_likelihoods
from fastvlm.errors import UserError
from fastvlm.metrics.dialogue import ndcg, rank_of
from fastvlm.models.load import load_target
from fastvlm.models.target import Target
from fastvlm.progress import progress
from fastvlm.rows import write_rows

Round = tuple[str, Example]  # with the name of its dataset


def rank(knobs: dict[str, Any], model: Path, manifests: Sequence[Path], output: Path) -> None:
    """Write one row a round of the test splits that has candidates; an error in any round fails the whole job.

    Knobs: `model`, `device`, `dtype`, `threads`. Raises `UserError` naming the example whose candidates cannot be ranked.
    """
    torch.set_num_threads(knobs["threads"])
    rounds = [(manifest.stem, example) for manifest in manifests for example in rounds_of(manifest)]
    write_rows(output, _rows(knobs, load_target(model, knobs), rounds) if rounds else ())


def rounds_of(manifest: Path) -> list[Example]:
    """The test examples that have candidates; one line of the log says how many rounds of dialogues have none."""
    rounds = [example for example in read_manifest(manifest, "test") if example.dialogue]
    ranked = [example for example in rounds if example.dialogue.candidates]
    if len(ranked) < len(rounds):
        missing = len(rounds) - len(ranked)
        print(f"{manifest.stem}: {missing} of {len(rounds)} rounds have no candidates and are not ranked", file=sys.stderr, flush=True)
    for example in ranked:
        _check(f"{manifest}: {example.id}", example)
    return ranked


def _check(where: str, example: Example) -> None:
    dialogue, count = example.dialogue, len(example.dialogue.candidates)
    if count < 2:
        raise UserError(f"{where}: {count} candidate, expected at least 2")
    if dialogue.right is None or not 0 <= dialogue.right < count:
        raise UserError(f"{where}: right is {dialogue.right}, expected the place of the human answer, 0 to {count - 1}")
    if len(dialogue.relevance) not in (0, count):
        raise UserError(f"{where}: relevance of {len(dialogue.relevance)} candidates, expected of all {count}, or of none")


def _rows(knobs: dict[str, Any], target: Target, rounds: Iterable[Round]) -> Iterator[dict[str, Any]]:
    for dataset, example in progress(rounds, f"ranking candidates with {knobs['model']}"):
        scores = _scores(target, f"{dataset}: {example.id}", example).numpy()
        dialogue = example.dialogue
        yield {
            "model": knobs["model"],
            "dataset": dataset,
            "example": example.id,
            "tags": list(example.tags),
            "candidates": len(scores),
            "rank": rank_of(scores, dialogue.right),
            "ndcg": ndcg(scores, np.array(dialogue.relevance)),
            "log_likelihoods": scores.tolist(),
        }


def _scores(target: Target, where: str, example: Example) -> Tensor:
    try:
        scores = log_likelihoods(target, target.prepare(example), example.dialogue.candidates)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if not scores.isfinite().all():
        place = int(scores.isfinite().logical_not().nonzero()[0])
        dtype = str(target.decoder.dtype).removeprefix("torch.")
        raise UserError(
            f"{where}: the log-likelihood of candidate {place} is {scores[place].item()} in {dtype}; expected a number, which float32 gives"
        )
    return scores
