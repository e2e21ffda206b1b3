"""The decode stage: every setting of one method against plain decoding, paired on the same prefilled example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch

from fastvlm.data.example import Example, read_manifest
from fastvlm.decoding import contenders, reference
from fastvlm.decoding.choice import choice_of
from fastvlm.decoding.compare import compete, outcome
from fastvlm.decoding.contenders import Contender
from fastvlm.decoding.drafters import Drafter
from fastvlm.decoding.pieces import pieces
from fastvlm.decoding.replay import Replay
from fastvlm.decoding.stopwatch import timed
from fastvlm.decoding.units import Units
from fastvlm.errors import UserError
from fastvlm.models.checkpoint import checkpoint_files, checkpoint_folder
from fastvlm.models.load import load_target
from fastvlm.models.target import Target
from fastvlm.progress import progress


@torch.inference_mode()
def decode(
    knobs: dict[str, Any],
    model: Path,
    manifests: Sequence[Path],
    imitations: Sequence[Path],
    output: Path,
    policies: Path | None = None,
    *,
    skips: Path | None = None,
) -> None:
    """Write `<dataset>.jsonl` into the folder `output`, one a manifest: one row an example, exit layer, policy and draft length.

    `policies` is what the fit stage wrote, for a method that has any, `skips` what the search stage wrote. Knobs: `splits` are those
    decoded, `max_new_tokens` a list in the order of the manifests, `sampling` None for greedy decoding, else `temperature`, `top_k`,
    `top_p` and `seed`. The model is loaded once for all. An error in any example fails the whole job; datasets that an earlier run
    finished from the same inputs are not decoded again.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    drafters = contenders.load_drafters(knobs, target, model, imitations, skips=skips)
    networks = [folder / "network.safetensors" for folder in imitations]
    fitted = json.loads(policies.read_text()) if policies else []
    _refuse_unfitted(knobs, fitted, manifests)
    searched = skips.read_text() if skips else None
    units = Units(output, knobs | {"fitted": fitted, "skips": searched}, [*checkpoint_files(checkpoint_folder(model)), *networks])
    for manifest, limit in zip(manifests, knobs["max_new_tokens"], strict=True):
        own = [record for record in fitted if record["dataset"] == manifest.stem and record["policy"] in knobs["policies"]]
        units.write(manifest, limit, _rows(knobs, target, drafters, own, manifest, limit))
    units.forget_others()


def _refuse_unfitted(knobs: dict[str, Any], fitted: Sequence[dict[str, Any]], manifests: Sequence[Path]) -> None:
    """Raise `UserError` where a policy has no fitted curve for a dataset and exit layer."""
    known = {(record["policy"], record["dataset"], record["exit_layer"]) for record in fitted}
    for policy, manifest, exit_layer in product(knobs["policies"], manifests, knobs["exit_layers"] or [None]):
        if (policy, manifest.stem, exit_layer) not in known:
            where = f"{knobs['method']}{f' at exit layer {exit_layer}' if exit_layer else ''} on {manifest.stem}"
            raise UserError(f"policy '{policy}' was not fitted for {where}; run the observe, cost and fit stages first")


def _rows(
    knobs: dict[str, Any], target: Target, drafters: Sequence[Drafter], fitted: Sequence[dict[str, Any]], manifest: Path, limit: int
) -> Iterator[dict[str, Any]]:
    """All rows of a dataset, split by split."""
    name, method = manifest.stem, knobs["method"]
    if method == "generate":
        measure_one = partial(reference.measure, target, repeats=knobs["repeats"], limit=limit, sampling=knobs["sampling"])
    else:
        groups = contenders.groups(target, method, drafters, knobs["draft_lengths"], fitted, limit)
        how = {"repeats": knobs["repeats"], "limit": limit, "method": method, "sampling": knobs["sampling"]}
        measure_one = partial(measure, target, groups, **how)
    key = {"experiment": knobs["experiment"], "model": knobs["model"], "dataset": name, "dtype": knobs["dtype"], "method": method}
    for split in knobs["splits"]:
        examples = read_manifest(manifest, split)
        for example in examples[: knobs["warmup"]]:
            list(measure_one(example, turn=0))
        for turn, example in enumerate(progress(examples, f"{method} on {name} {split}")):
            yield from ({**key, "split": split, **row} for row in measure_one(example, turn=turn))


def measure(
    target: Target,
    groups: list[list[Contender]],
    example: Example,
    *,
    turn: int,
    repeats: int,
    limit: int,
    method: str,
    sampling: dict[str, Any] | None,
) -> Iterator[dict[str, Any]]:
    """The rows of one example. Vision and prompt run once, timed, for all that decode from them.

    Where texts are drawn, each setting of a method draws its own of each example, and plain decoding beside them the same in all jobs.
    """
    inputs, device = target.prepare(example), target.decoder.device
    exits = {contender.exit_layer for group in groups for contender in group if contender.exit_layer}
    prefill = [timed(lambda: target.prefill(inputs, limit, exits), device) for _ in range(repeats)]
    prefix, prefill_seconds = prefill[-1][0], median(seconds for _, seconds in prefill)
    shared = {"example": example.id, "prompt_tokens": prefix.length, "baseline_prefill_seconds": prefill_seconds}
    baseline = contenders.plain(target, limit)
    choose = partial(choice_of, sampling, device, example.id, example.sha256)
    said_by_plain = partial(baseline.decode, prefix, choose("plain"))
    for group in groups:
        if any(contender.hear for contender in group):
            text = said_by_plain().tokens
            for contender in group:
                contender.hear(text)
        settings = [{"policy": one.policy, "exit_layer": one.exit_layer, "draft_length": one.draft_length} for one in group]
        acts = [partial(one.decode, prefix, choose(method, *of.values())) for one, of in zip(group, settings, strict=True)]
        traces, seconds = compete([said_by_plain, *acts], repeats=repeats, turn=turn, device=device)
        said = None if sampling else Replay(target, inputs, traces[0].tokens)
        for setting, trace, decode_seconds in zip(settings, traces[1:], seconds[1:], strict=True):
            timing = {"prefill_seconds": prefill_seconds, "decode_seconds": decode_seconds, "baseline_decode_seconds": seconds[0]}
            # Once an example: the other texts are the same.
            spelt = {} if setting["exit_layer"] or setting["draft_length"] else {"pieces": pieces(target.to_text, trace.tokens)}
            yield shared | setting | outcome(target, trace, said) | spelt | timing
