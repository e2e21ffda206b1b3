"""What a round of drafting costs on this machine, and a token of plain decoding, measured side by side as decoding does them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastvlm.data.example import read_manifest
from fastvlm.decoding import autoregressive
from fastvlm.decoding.calibration import Calibration
from fastvlm.decoding.choice import GREEDY
from fastvlm.decoding.costs import Costs
from fastvlm.decoding.drafters import Bounds, Drafter, EarlyExit
from fastvlm.decoding.policies import Fixed, Goodput, Policy
from fastvlm.decoding.skipping import load_skips
from fastvlm.decoding.speculative import verify
from fastvlm.decoding.stopwatch import timed
from fastvlm.imitation.card import read_card
from fastvlm.imitation.store import load_drafter
from fastvlm.methods import BARE
from fastvlm.models.load import load_target
from fastvlm.models.target import Prefix, Target
from fastvlm.progress import progress
from fastvlm.rows import write_rows

EXAMPLES = 2
SWEEPS = 3
WARMUP = 1


@torch.inference_mode()
def measure(
    knobs: dict[str, Any], model: Path, manifests: Sequence[Path], imitations: Sequence[Path], output: Path, *, skips: Path | None = None
) -> None:
    """Write the costs of a model on each dataset: a token of plain decoding, and each drafter's acts, see `Costs`.

    Measured just after the prompts of a dataset's first examples of validation (of test, where there is none): a row holds a list of
    seconds, one an example, each the median of some sweeps. What else goes on in a machine comes and goes, and caches hold what ran last:
    so whole rounds of each drafter, of every length, take turns with single tokens of plain decoding, and a round counts for as much as the
    tokens just before and behind it took.
    A backbone that was fine-tuned runs the same operations on weights of the same shapes, so that what it costs is measured on `model` too.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    longest = knobs["longest_draft"]
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
    held_out = read_manifest(manifest, "validation") or read_manifest(manifest, "test")
    exits = {drafter.exit_layer for drafter, _ in drafters}
    measured: list[tuple[float, list[Costs]]] = []
    for example in progress(held_out[:examples], f"costs on {manifest.stem}"):
        prefix = target.prefill(target.prepare(example), longest + 1, exits)
        measured.append(measure_prefix(target, [drafter for drafter, _ in drafters], prefix, longest))
    key = {"model": model, "dataset": manifest.stem}
    plain = {"method": "baseline", "exit_layer": None}
    yield key | plain | {"tokens_in_pass": 1, "target_pass_seconds": [seconds for seconds, _ in measured]}
    for (_, row), costs in zip(drafters, zip(*(of for _, of in measured), strict=True), strict=True):
        yield key | row | {f"draft_{act}_seconds": [getattr(one, act) for one in costs] for act in ("step", "start", "look")}
        setting = {"method": row["method"], "exit_layer": row["exit_layer"]}
        for tokens, seconds in enumerate(zip(*(one.passes for one in costs), strict=True), start=1):
            yield key | setting | {"tokens_in_pass": tokens, "target_pass_seconds": list(seconds)}


def _drafters(knobs: dict[str, Any], target: Target, model: Path, imitations: Sequence[Path]) -> Iterator[tuple[Drafter, dict[str, Any]]]:
    """Each drafter with its row: what the method adds to the model."""
    for method in BARE:
        for exit_layer in knobs["exit_layers"][method]:
            yield EarlyExit(exit_layer), {"method": method, "exit_layer": exit_layer, "added_parameters": 0, "added_bytes": 0}
    for folder in imitations:
        card, drafter = read_card(folder), load_drafter(folder, target, model)
        row = {"method": "fastvlm", "exit_layer": drafter.exit_layer, "added_parameters": card["parameters"], "added_bytes": card["bytes"]}
        yield drafter, row


def measure_prefix(target: Target, drafters: Sequence[Drafter], prefix: Prefix, longest: int) -> tuple[float, list[Costs]]:
    """Seconds of a token of plain decoding, and each drafter's costs, with up to `longest` drafts; `prefix` has room for one token more."""
    policies = [Fixed(1), *map(Fixed, range(longest + 1)), _watching(longest)]
    plain, taken = zip(*(_sweep(target, drafters, prefix, policies) for _ in range(WARMUP + SWEEPS)), strict=True)
    token = float(np.median(plain[WARMUP:]))
    return token, [_costs(token, token * rounds) for rounds in np.median(taken[WARMUP:], axis=0)]


def _sweep(target: Target, drafters: Sequence[Drafter], prefix: Prefix, policies: Sequence[Policy]) -> tuple[list[float], np.ndarray]:
    """A text's first rounds by all drafters, with a token of plain decoding before and behind each: the seconds of these tokens, and what
    drafting and verifying took in such tokens, the mean of those beside it, [drafters, policies, 2]."""
    prefix.cache.length = prefix.length
    for drafter in drafters:
        drafter.start(prefix, 2 * len(policies))  # each round leaves a token, and what is recorded on a GPU is drafted twice
    plain, taken = [_plain(target, prefix)], np.empty((len(drafters), len(policies), 2))
    for place, policy in enumerate(policies):
        for number, drafter in enumerate(drafters):
            seconds = _round(target, drafter, prefix, policy)
            plain.append(_plain(target, prefix))
            taken[number, place] = np.divide(seconds, np.mean(plain[-2:]))
    return plain, taken


def _plain(target: Target, prefix: Prefix) -> float:
    """Seconds of one token, which leaves the cache as it was."""

    def act() -> object:
        return autoregressive.decode(target.decoder, prefix, limit=2, end_tokens=())

    seconds = timed(act, target.decoder.device)[1]
    prefix.cache.length = prefix.length
    return seconds


def _round(target: Target, drafter: Drafter, prefix: Prefix, policy: Policy) -> tuple[float, float]:
    """Seconds to draft as many as the policy wants, and to verify them and keep what the text gains.

    No draft stands in the end, so that the next round is as this one.
    """
    decoder, cache, text, token = target.decoder, prefix.cache, [int(prefix.first)], prefix.first
    policy.start()

    def draft() -> tuple[torch.Tensor, torch.Tensor]:
        return drafter.draft(decoder, cache, text, token, Bounds(policy.most(cache.length), frozenset(), policy))

    (drafts, states), drafting = timed(draft, decoder.device)

    def end() -> None:
        verify(decoder, drafter, cache, GREEDY, drafts, states)
        drafter.keep(states, 0)

    return drafting, timed(end, decoder.device)[1]


def _costs(plain: float, rounds: np.ndarray) -> Costs:
    """From the seconds of `measure_prefix`'s rounds, [policies, 2]. What is a difference of two measurements is 0 at least."""
    (first, *drafting, watched), (_, *verifying, _) = rounds.T
    longest = len(drafting) - 1
    steps = drafting[-1] - drafting[0]
    start, look = max(0.0, first - drafting[1]), max(0.0, watched - drafting[-1])
    passes = tuple(float(drafting[0] + seconds) for seconds in verifying)
    return Costs(plain, float(max(0.0, steps) / longest), passes, float(start), float(look) / longest)


def _watching(drafts: int) -> Goodput:
    """The policy that thinks longest about a look, in rounds that it never ends before so many drafts."""
    return Goodput(drafts, Costs(0.0, 0.0, (0.0,) * (drafts + 1)), Calibration(0.0, 1.0, 0.0, (1.0,)), 0.0)
