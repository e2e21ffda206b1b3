"""The decode stage: every setting of one method against plain decoding, paired on the same prefilled example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from fastvlm.data.example import Example, read_manifest
from fastvlm.decoding import contenders, reference
from fastvlm.decoding.compare import compete, outcome
from fastvlm.decoding.contenders import Contender
from fastvlm.decoding.replay import Replay
from fastvlm.decoding.stopwatch import timed
from fastvlm.methods import DRAFTING
from fastvlm.models.load import load_target
from fastvlm.models.target import Target
from fastvlm.progress import progress
from fastvlm.rows import write_rows


@torch.inference_mode()
def decode(knobs: dict[str, Any], model: Path, manifest: Path, split: str, imitations: Sequence[Path], output: Path) -> None:
    """Write one row an example, exit layer and draft length; an error in any example fails the whole job."""
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    examples = read_manifest(manifest, split)
    if knobs["method"] == "generate":
        measure_one = partial(reference.measure, knobs, target)
    else:
        measure_one = partial(measure, knobs, target, contenders.groups(knobs, target, model, imitations))
    for example in examples[: knobs["warmup"]]:
        list(measure_one(example, turn=0))
    key = {name: knobs[name] for name in ("experiment", "model", "dataset", "dtype")} | {"split": split, "method": knobs["method"]}
    key["policy"] = "fixed" if knobs["method"] in DRAFTING else ""
    turns = enumerate(progress(examples, f"{knobs['method']} on {knobs['dataset']} {split}"))
    write_rows(output, ({**key, **row} for turn, example in turns for row in measure_one(example, turn=turn)))


def measure(
    knobs: dict[str, Any], target: Target, groups: list[list[Contender]], example: Example, *, turn: int
) -> Iterator[dict[str, Any]]:
    """The rows of one example. Vision and prompt run once, timed, for all that decode from them."""
    inputs, limit, device = target.prepare(example), knobs["max_new_tokens"], target.decoder.device
    exits = {contender.exit_layer for group in groups for contender in group if contender.exit_layer}
    prefill = [timed(lambda: target.prefill(inputs, limit, exits), device) for _ in range(knobs["repeats"])]
    prefix, prefill_seconds = prefill[-1][0], median(seconds for _, seconds in prefill)
    shared = {"example": example.id, "prompt_tokens": prefix.length, "baseline_prefill_seconds": prefill_seconds}
    baseline = contenders.plain(target, limit)
    for group in groups:
        acts = [partial(contender.decode, prefix) for contender in (baseline, *group)]
        traces, seconds = compete(acts, repeats=knobs["repeats"], turn=turn, device=device)
        said = Replay(target, inputs, traces[0].tokens)
        for contender, trace, decode_seconds in zip(group, traces[1:], seconds[1:], strict=True):
            timing = {"prefill_seconds": prefill_seconds, "decode_seconds": decode_seconds, "baseline_decode_seconds": seconds[0]}
            setting = {"exit_layer": contender.exit_layer, "draft_length": contender.draft_length}
            yield shared | setting | outcome(target, trace, said) | timing
