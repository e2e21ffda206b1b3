"""What a draft step and a pass of the full model cost on this machine, measured one act at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from fastvlm.data.example import read_manifest
from fastvlm.decoding.drafters import Drafter, EarlyExit
from fastvlm.decoding.stopwatch import timed
from fastvlm.imitation.store import load_drafter, read_card
from fastvlm.models.load import load_target
from fastvlm.models.target import Prefix, Target
from fastvlm.rows import write_rows

REPEATS = 50
WARMUP = 10


@torch.inference_mode()
def measure(knobs: dict[str, Any], model: Path, manifest: Path, imitations: Sequence[Path], output: Path) -> None:
    """Write the costs of a model: a full pass over 1 to K + 1 tokens, and a draft step of each method and exit layer.

    Measured just after the prompt of the first test example, medians of 50 repeats. A draft step is what drafting one
    more token takes: embedding, n layers, the imitation network, head, choice.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    inputs = target.prepare(read_manifest(manifest, "test")[0])
    exits = {*knobs["exit_layers"]["ssd"], *knobs["exit_layers"]["fastvlm"]}
    longest = max(knobs["draft_lengths"]) + 1
    prefix = target.prefill(inputs, longest, exits)
    rows = [*pass_costs(target, prefix, longest), *draft_costs(knobs, target, prefix, model, imitations)]
    write_rows(output, ({"model": knobs["model"], **row} for row in rows))


def pass_costs(target: Target, prefix: Prefix, longest: int) -> Iterator[dict[str, Any]]:
    """A pass of all layers and the head over 1, 2, ... `longest` tokens."""
    decoder = target.decoder
    for tokens in range(1, longest + 1):
        embedded = decoder.embed(prefix.first.expand(tokens))
        seconds = typical(lambda x=embedded: decoder.head(decoder.run(x, prefix.cache, prefix.length)).argmax(-1), decoder.device)
        yield {"method": "baseline", "exit_layer": None, "tokens_in_pass": tokens, "target_pass_seconds": seconds}


def draft_costs(knobs: dict[str, Any], target: Target, prefix: Prefix, model: Path, imitations: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """A draft step of each method at each of its exit layers, and what the method adds to the model."""
    for exit_layer in knobs["exit_layers"]["ssd"]:
        yield {"method": "ssd", **draft_cost(target, EarlyExit(exit_layer), prefix), "added_parameters": 0, "added_bytes": 0}
    for folder in imitations:
        card = read_card(folder)
        cost = draft_cost(target, load_drafter(folder, target, model), prefix)
        yield {"method": "fastvlm", **cost, "added_parameters": card["parameters"], "added_bytes": card["bytes"]}


def draft_cost(target: Target, drafter: Drafter, prefix: Prefix) -> dict[str, Any]:
    decoder = target.decoder
    drafter.start(prefix.hidden[drafter.exit_layer], WARMUP + REPEATS)

    def step() -> torch.Tensor:
        hidden = decoder.run(decoder.embed(prefix.first), prefix.cache, prefix.length, last=drafter.exit_layer)
        return decoder.head(drafter.guess(hidden)).argmax(-1)

    return {"exit_layer": drafter.exit_layer, "draft_step_seconds": typical(step, decoder.device)}


def typical(act, device: torch.device) -> float:
    """Median seconds of an act after a warm-up."""
    for _ in range(WARMUP):
        act()
    return median(timed(act, device)[1] for _ in range(REPEATS))
