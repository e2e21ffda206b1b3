"""What a draft step and a pass of the full model cost on this machine, measured one act at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from fastvlm.data.example import read_manifest
from fastvlm.decoding.calibration import Calibration
from fastvlm.decoding.costs import Costs
from fastvlm.decoding.drafters import Bounds, Drafter, EarlyExit
from fastvlm.decoding.policies import Fixed, Goodput
from fastvlm.decoding.skipping import load_skips
from fastvlm.decoding.stopwatch import timed
from fastvlm.imitation.card import read_card
from fastvlm.imitation.store import load_drafter
from fastvlm.methods import BARE
from fastvlm.models.load import load_target
from fastvlm.models.target import Prefix, Target
from fastvlm.progress import progress
from fastvlm.rows import write_rows

EXAMPLES = 6
REPEATS = 7
WARMUP = 2

Stopwatch = Callable[[Callable[[], object]], float]  # an act -> its seconds


@torch.inference_mode()
def measure(
    knobs: dict[str, Any], model: Path, manifests: Sequence[Path], imitations: Sequence[Path], output: Path, *, skips: Path | None = None
) -> None:
    """Write the costs of a model on each dataset: a full pass over 1 to K + 1 tokens, and each drafter's step and start.

    Measured just after the prompts of a dataset's first examples of validation (of test, where there is none): a row holds a list of
    seconds, one an example, each the median of some repeats. A draft step is a draft's share of a round of the longest, drafted as the
    decoding loop drafts it: embedding, n layers, the imitation network, head, choice. A start is what the first round of a text takes
    longer, as the network reads the prompt with it; a look is what a policy that watches takes more at each draft, to learn how likely it
    is and to decide.
    A backbone that was fine-tuned runs the same operations on weights of the same shapes, so that what it costs is measured on `model` too.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    longest = knobs["longest_draft"] + 1
    drafters = list(_drafters(knobs, target, model, imitations))
    if skips:
        nothing = {"added_parameters": 0, "added_bytes": 0}
        drafters.append((load_skips(skips, target, model), {"method": "draft-verify", "exit_layer": None, **nothing}))
    # For nothing: a GPU loads a kernel when it first meets a length of text that wants it, which takes a hundred times the act itself.
    list(_rows(knobs["model"], target, drafters, manifests[0], longest, 1))
    write_rows(output, (row for manifest in manifests for row in _rows(knobs["model"], target, drafters, manifest, longest, EXAMPLES)))


def _rows(
    model: str, target: Target, drafters: Sequence[tuple[Drafter, dict[str, Any]]], manifest: Path, longest: int, examples: int
) -> Iterator[dict[str, Any]]:
    passes: list[list[float]] = [[] for _ in range(longest)]
    steps: list[list[float]] = [[] for _ in drafters]
    starts: list[list[float]] = [[] for _ in drafters]
    looks: list[list[float]] = [[] for _ in drafters]
    exits = {drafter.exit_layer for drafter, _ in drafters}
    seconds = partial(typical, device=target.decoder.device)
    held_out = read_manifest(manifest, "validation") or read_manifest(manifest, "test")
    for example in progress(held_out[:examples], f"costs on {manifest.stem}"):
        prefix = target.prefill(target.prepare(example), longest, exits)
        for tokens, measured in enumerate(passes, start=1):
            measured.append(seconds(full_pass(target, tokens, prefix)))
        for (drafter, _), step, start, look in zip(drafters, steps, starts, looks, strict=True):
            step.append(draft_step(target, drafter, prefix, Fixed(longest - 1), seconds))
            look.append(max(0.0, draft_step(target, drafter, prefix, watching(longest - 1), seconds) - step[-1]))
            first, later = (seconds(drafting(target, drafter, prefix, Fixed(1), begins=begins)) for begins in (True, False))
            start.append(max(0.0, first - later))
    key = {"model": model, "dataset": manifest.stem}
    for tokens, measured in enumerate(passes, start=1):
        yield key | {"method": "baseline", "exit_layer": None, "tokens_in_pass": tokens, "target_pass_seconds": measured}
    for (_, row), step, start, look in zip(drafters, steps, starts, looks, strict=True):
        yield key | row | {"draft_step_seconds": step, "draft_start_seconds": start, "draft_look_seconds": look}


def full_pass(target: Target, tokens: int, prefix: Prefix) -> Callable[[], torch.Tensor]:
    """All layers and the head over some tokens."""
    decoder = target.decoder
    embedded = decoder.embed(prefix.first.expand(tokens), prefix.length)
    return lambda: decoder.head(decoder.run(embedded, prefix.cache, prefix.length)).argmax(-1)


def _drafters(knobs: dict[str, Any], target: Target, model: Path, imitations: Sequence[Path]) -> Iterator[tuple[Drafter, dict[str, Any]]]:
    """Each drafter with its row: what the method adds to the model."""
    for method in BARE:
        for exit_layer in knobs["exit_layers"][method]:
            yield EarlyExit(exit_layer), {"method": method, "exit_layer": exit_layer, "added_parameters": 0, "added_bytes": 0}
    for folder in imitations:
        card, drafter = read_card(folder), load_drafter(folder, target, model)
        row = {"method": "fastvlm", "exit_layer": drafter.exit_layer, "added_parameters": card["parameters"], "added_bytes": card["bytes"]}
        yield drafter, row


def draft_step(target: Target, drafter: Drafter, prefix: Prefix, policy: Fixed | Goodput, seconds: Stopwatch) -> float:
    """Of a later round of the policy's longest, the seconds of one draft."""
    return seconds(drafting(target, drafter, prefix, policy, begins=False)) / policy.length


def drafting(target: Target, drafter: Drafter, prefix: Prefix, policy: Fixed | Goodput, *, begins: bool) -> Callable[[], None]:
    """A round of the policy's longest of which no draft stands: the first of a text, or a later one."""
    cache, token = prefix.cache, prefix.first
    cache.length = prefix.length

    def go_on() -> None:
        most = policy.most(cache.length)
        _, states = drafter.draft(target.decoder, cache, [int(token)], token, Bounds(most, frozenset(), policy))
        drafter.keep(states, 0)

    def begin() -> None:
        drafter.start(prefix, WARMUP + REPEATS + policy.length + 1)
        go_on()

    begin()
    return begin if begins else go_on


def watching(drafts: int) -> Goodput:
    """The policy that thinks longest about a look, in rounds that it never ends before so many drafts."""
    policy = Goodput(drafts, Costs(0.0, (0.0,) * (drafts + 1)), Calibration(0.0, 1.0, 0.0, (1.0,)), 0.0)
    policy.start()
    return policy


def typical(act: Callable[[], object], device: torch.device) -> float:
    """Median seconds of an act after a warm-up."""
    for _ in range(WARMUP):
        act()
    return median(timed(act, device)[1] for _ in range(REPEATS))
