"""What one scores who knows the wording and the question, but does not see: the mark that a model must be above."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from fastvlm.data.example import Example
from fastvlm.errors import UserError
from fastvlm.metrics.captions import Texts
from fastvlm.rows import read_rows


def blind_texts(manifest: Path, seed: int) -> Texts:
    """For each test example a reference of another picture, (example, text) pairs; empty where the pictures are not drawn.

    It is one of the train split, or of test where train is empty, that answers the same prompt, where any does; which one follows
    from a hash of `seed` and the example's id. Raises `UserError` where there is no other picture.
    """
    splits: dict[str, list[Example]] = {"train": [], "test": []}
    for row in read_rows(manifest):
        if row["split"] in splits:
            splits[row["split"]].append(Example.from_dict(row))
    if not any(example.scene for example in splits["test"]):
        return ()
    told = splits["train"] or splits["test"]
    by_prompt: dict[str, list[Example]] = {}
    for example in told:
        by_prompt.setdefault(example.prompt, []).append(example)
    return tuple((example.id, _said_of_another(example, by_prompt.get(example.prompt, []), told, seed)) for example in splits["test"])


def _said_of_another(example: Example, alike: Sequence[Example], told: Sequence[Example], seed: int) -> str:
    others = _other_pictures(example, alike) or _other_pictures(example, told)
    if not others:
        raise UserError(f"example '{example.id}': no other picture to say something blind of; give the dataset more examples")
    drawn = int.from_bytes(hashlib.sha256(f"{seed} {example.id}".encode()).digest())
    number, which = divmod(drawn, len(others))
    references = others[which].references
    return references[number % len(references)]


def _other_pictures(example: Example, told: Sequence[Example]) -> list[Example]:
    return [other for other in told if other.sha256 != example.sha256]
