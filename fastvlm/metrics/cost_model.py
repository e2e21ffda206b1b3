"""What a draft step and a pass of the full model cost on this machine, measured one act at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from fastvlm.data.example import read_manifest
from fastvlm.decoding.drafters import Drafter, EarlyExit
from fastvlm.decoding.stopwatch import timed
from fastvlm.imitation.store import load_drafter, read_card
from fastvlm.models.load import load_target
from fastvlm.models.target import Prefix, Target
from fastvlm.rows import write_rows

EXAMPLES = 16
REPEATS = 10
WARMUP = 3


class Act(NamedTuple):
    """Something to be timed: its row, the column of its seconds, and what makes it ready to be done again and again after a prompt."""

    row: dict[str, Any]
    column: str
    ready: Callable[[Prefix], Callable[[], torch.Tensor]]


@torch.inference_mode()
def measure(knobs: dict[str, Any], model: Path, manifest: Path, imitations: Sequence[Path], output: Path) -> None:
    """Write the costs of a model: a full pass over 1 to K + 1 tokens, and a draft step of each method and exit layer.

    Measured just after the prompts of the first 16 test examples: a row holds a list of seconds, one an example, each the
    median of 10 repeats. A draft step is what drafting one more token takes: embedding, n layers, the imitation network, head, choice.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    exits = {*knobs["exit_layers"]["ssd"], *knobs["exit_layers"]["fastvlm"]}
    longest = max(knobs["draft_lengths"]) + 1
    acts = [*passes(target, longest), *draft_steps(knobs, target, model, imitations)]
    seconds: list[list[float]] = [[] for _ in acts]
    for example in read_manifest(manifest, "test")[:EXAMPLES]:
        prefix = target.prefill(target.prepare(example), longest, exits)
        for act, measured in zip(acts, seconds, strict=True):
            measured.append(typical(act.ready(prefix), target.decoder.device))
    write_rows(output, ({"model": knobs["model"], **act.row, act.column: of} for act, of in zip(acts, seconds, strict=True)))


def passes(target: Target, longest: int) -> Iterator[Act]:
    """A pass of all layers and the head over 1, 2, ... `longest` tokens."""
    decoder = target.decoder

    def ready(tokens: int, prefix: Prefix) -> Callable[[], torch.Tensor]:
        embedded = decoder.embed(prefix.first.expand(tokens), prefix.length)
        return lambda: decoder.head(decoder.run(embedded, prefix.cache, prefix.length)).argmax(-1)

    for tokens in range(1, longest + 1):
        row = {"method": "baseline", "exit_layer": None, "tokens_in_pass": tokens}
        yield Act(row, "target_pass_seconds", partial(ready, tokens))


def draft_steps(knobs: dict[str, Any], target: Target, model: Path, imitations: Sequence[Path]) -> Iterator[Act]:
    """A draft step of each method at each of its exit layers, and what the method adds to the model."""
    for exit_layer in knobs["exit_layers"]["ssd"]:
        yield draft_step(target, EarlyExit(exit_layer), {"method": "ssd", "added_parameters": 0, "added_bytes": 0})
    for folder in imitations:
        card = read_card(folder)
        row = {"method": "fastvlm", "added_parameters": card["parameters"], "added_bytes": card["bytes"]}
        yield draft_step(target, load_drafter(folder, target, model), row)


def draft_step(target: Target, drafter: Drafter, row: dict[str, Any]) -> Act:
    decoder = target.decoder

    def ready(prefix: Prefix) -> Callable[[], torch.Tensor]:
        drafter.start(prefix, WARMUP + REPEATS)

        def step() -> torch.Tensor:
            hidden = decoder.run(decoder.embed(prefix.first, prefix.length), prefix.cache, prefix.length, last=drafter.exit_layer)
            return decoder.head(drafter.guess(hidden)).argmax(-1)

        return step

    return Act({**row, "exit_layer": drafter.exit_layer}, "draft_step_seconds", ready)


def typical(act: Callable[[], torch.Tensor], device: torch.device) -> float:
    """Median seconds of an act after a warm-up."""
    for _ in range(WARMUP):
        act()
    return median(timed(act, device)[1] for _ in range(REPEATS))
