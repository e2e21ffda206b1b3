"""The observe stage: what a drafter says on validation, how sure it is, and what stands. Untimed; policies are fitted on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from fastvlm.data.example import Example, read_manifest
from fastvlm.decoding import contenders, speculative
from fastvlm.decoding.choice import choice_of
from fastvlm.decoding.drafters import Drafter
from fastvlm.decoding.policies import Fixed
from fastvlm.models.load import load_target
from fastvlm.models.target import Target
from fastvlm.progress import progress
from fastvlm.rows import write_rows


class Watched(Fixed):
    """A fixed draft length that notes each round: [context, accepted, the drafter's probability of each draft]."""

    watches = True

    def start(self) -> None:
        self.rounds: list[list[Any]] = []

    def most(self, context: int) -> int:
        self._context, self._confidences = context, []
        return super().most(context)

    def wants(self, confidence: float) -> bool:
        self._confidences.append(confidence)
        return True

    def learn(self, drafted: int, accepted: int) -> None:
        self.rounds.append([self._context, accepted, self._confidences])


@torch.inference_mode()
def observe(
    knobs: dict[str, Any], model: Path, manifests: Sequence[Path], imitations: Sequence[Path], output: Path, *, skips: Path | None = None
) -> None:
    """Write one row an exit layer and validation example: its `rounds` at the longest draft length, and whether the text ends in a draft.

    What ends in an accepted draft gets no token of the full model's behind it.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    drafters = contenders.load_drafters(knobs, target, model, imitations, skips=skips)
    write_rows(output, _rows(knobs, target, drafters, manifests))


def _rows(knobs: dict[str, Any], target: Target, drafters: Sequence[Drafter], manifests: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for manifest, limit in zip(manifests, knobs["max_new_tokens"], strict=True):
        for example in progress(read_manifest(manifest, "validation"), f"watching {knobs['method']} on {manifest.stem}"):
            for drafter in drafters:
                seen = _watch(knobs, target, drafter, example, limit)
                yield {"dataset": manifest.stem, "exit_layer": drafter.exit_layer or None, "example": example.id, **seen}


def _watch(knobs: dict[str, Any], target: Target, drafter: Drafter, example: Example, limit: int) -> dict[str, Any]:
    policy = Watched(knobs["longest_draft"])
    prefix = target.prefill(target.prepare(example), limit, {drafter.exit_layer})
    watched = (example.id, example.sha256, knobs["method"], drafter.exit_layer, "watched")
    choice = choice_of(knobs["sampling"], target.decoder.device, *watched)
    trace = speculative.decode(target.decoder, drafter, prefix, choice, policy=policy, limit=limit, end_tokens=target.end_tokens)
    given = sum(accepted + 1 for _, accepted, _ in policy.rounds)
    return {"rounds": policy.rounds, "ends_in_draft": given > len(trace.tokens) - 1}
