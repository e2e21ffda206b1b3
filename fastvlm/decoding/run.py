"""The decode stage: every setting of one method against plain decoding, paired on the same prefilled example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

from fastvlm.data.example import Example
from fastvlm.decoding import contenders, reference
from fastvlm.decoding.choice import choice_of
from fastvlm.decoding.compare import outcome
from fastvlm.decoding.contenders import Contender
from fastvlm.decoding.drafters import Drafter
from fastvlm.decoding.journal import Journal
from fastvlm.decoding.pieces import pieces
from fastvlm.decoding.race import compete
from fastvlm.decoding.replay import Replay
from fastvlm.decoding.rounds import finish
from fastvlm.decoding.stopwatch import timed
from fastvlm.decoding.units import Units, of_shard, raced
from fastvlm.errors import UserError
from fastvlm.models.checkpoint import checkpoint_files, checkpoint_folder, content_digest
from fastvlm.models.load import load_target
from fastvlm.models.target import Target
from fastvlm.progress import progress
from fastvlm.provenance import MACHINES, git_state, machine, machine_id
from fastvlm.rows import write_json, write_rows


class Part(NamedTuple):
    """What a job decodes of a dataset: the examples of one shard of so many, to at most `limit` new tokens, `repeats` times."""

    manifest: Path
    limit: int
    repeats: int
    shard: int
    shards: int

    def examples(self, split: str, choose_on: int | None) -> list[tuple[int, Example]]:
        """In the manifest's order, each with its place among those of the split."""
        return of_shard(raced(self.manifest, split, choose_on), self.shard, self.shards)


@torch.inference_mode()
def decode(
    knobs: dict[str, Any],
    model: Path,
    manifests: Sequence[Path],
    imitations: Sequence[Path],
    output: Path,
    *,
    policies: Path | None = None,
    skips: Path | None = None,
    journals: Path | None = None,
) -> None:
    """Write `<dataset>.jsonl` into the folder `output`, one a manifest: one row an example, exit layer, policy and draft length; and
    `machines.json`, the records of the machines that the rows name.

    `policies` is what the fit stage wrote, for a method that has any, `skips` what the search stage wrote. Knobs: `splits` are those
    decoded, of validation at most `choose_on` examples (None: all), `max_new_tokens`, `repeats` and `shards` lists in the order of the
    manifests, `shard` which of these is this job's, `sampling` None for greedy decoding, else `temperature`, `top_k`, `top_p` and `seed`.
    The model is loaded once for all. An error in any example fails the whole job; examples that stand in the folder `journals`
    (`.journal` in `output` if left out), from the same inputs, are not decoded again.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    drafters = contenders.load_drafters(knobs, target, model, imitations, skips=skips)
    files = [*checkpoint_files(checkpoint_folder(model)), *(folder / "network.safetensors" for folder in imitations)]
    fitted = json.loads(policies.read_text()) if policies else []
    _refuse_unfitted(knobs, fitted, manifests)
    decides = knobs | {"fitted": fitted, "skips": skips.read_text() if skips else None}
    units = Units(journals or output / ".journal", decides, list(map(content_digest, files)))
    machines: dict[str, dict[str, Any]] = {}
    for manifest, limit, repeats, shards in zip(manifests, knobs["max_new_tokens"], knobs["repeats"], knobs["shards"], strict=True):
        part = Part(manifest, limit, repeats, knobs["shard"], shards)
        own = [record for record in fitted if record["dataset"] == manifest.stem and record["policy"] in knobs["policies"]]
        journal = units.journal(*part)
        _decode(knobs, target, drafters, own, part, journal)
        done = [journal.finished[split, example.id] for split in knobs["splits"] for _, example in part.examples(split, knobs["choose_on"])]
        write_rows(output / f"{manifest.stem}.jsonl", (row for entry in done for row in entry["rows"]))
        machines |= {machine_id(entry["machine"]): entry["machine"] for entry in done}
    write_json(output / MACHINES, machines)
    units.forget_others()


def _refuse_unfitted(knobs: dict[str, Any], fitted: Sequence[dict[str, Any]], manifests: Sequence[Path]) -> None:
    """Raise `UserError` where a policy has no fitted curve for a dataset and exit layer."""
    known = {(record["policy"], record["dataset"], record["exit_layer"]) for record in fitted}
    for policy, manifest, exit_layer in product(knobs["policies"], manifests, knobs["exit_layers"] or [None]):
        if (policy, manifest.stem, exit_layer) not in known:
            where = f"{knobs['method']}{f' at exit layer {exit_layer}' if exit_layer else ''} on {manifest.stem}"
            raise UserError(f"policy '{policy}' was not fitted for {where}; run the observe, cost and fit stages first")


def _decode(
    knobs: dict[str, Any], target: Target, drafters: Sequence[Drafter], fitted: Sequence[dict[str, Any]], part: Part, journal: Journal
) -> None:
    """Bring all examples of the part into the journal, split after split."""
    name, method = part.manifest.stem, knobs["method"]
    if method == "generate":
        measure_one = partial(reference.measure, target, repeats=part.repeats, limit=part.limit, sampling=knobs["sampling"])
    else:
        groups = contenders.groups(target, method, drafters, knobs["draft_lengths"], fitted, part.limit, oracle=knobs.get("oracle", False))
        how = {"repeats": part.repeats, "limit": part.limit, "method": method, "sampling": knobs["sampling"]}
        measure_one = partial(measure, target, groups, **how)
    key = {"experiment": knobs["experiment"], "model": knobs["model"], "dataset": name, "dtype": knobs["dtype"], "method": method}
    here, code = machine() | {"threads": knobs["threads"]}, "+".join(value[:12] for value in git_state().values())
    asked = [(split, turn, example) for split in knobs["splits"] for turn, example in part.examples(split, knobs["choose_on"])]
    waiting = [(split, turn, example) for split, turn, example in asked if (split, example.id) not in journal.finished]
    for _, _, example in waiting[: knobs["warmup"]]:
        list(measure_one(example, turn=0))
    for split, turn, example in progress(waiting, f"{method} on {name}"):
        rows = [{**key, "split": split, **row, "machine": machine_id(here), "code": code} for row in measure_one(example, turn=turn)]
        journal.add(here, rows)


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
    plain = partial(baseline.rounds, choice=choose("plain"))
    for group in groups:
        if listening := [contender for contender in group if contender.hear]:
            text = finish(plain(prefix)).tokens
            for contender in listening:
                contender.hear(text)
        ran = contenders.runners(group, drawn=bool(sampling))
        running = list(dict.fromkeys(one for one in ran if one))
        acts = [partial(one.rounds, choice=choose(method, *one.setting.values())) for one in running]
        traces, seconds = compete(prefix, [plain, *acts], repeats=repeats, turn=turn, device=device)
        said = None if sampling else Replay(target, inputs, traces[0].tokens)
        results = dict(zip([None, *running], zip(traces, seconds, strict=True), strict=True))
        for setting, (trace, decode_seconds) in [(one.setting, results[runner]) for one, runner in zip(group, ran, strict=True)]:
            timing = {"prefill_seconds": prefill_seconds, "decode_seconds": decode_seconds, "baseline_decode_seconds": seconds[0]}
            # Once an example: the other texts are the same.
            spelt = {} if setting["exit_layer"] or setting["draft_length"] else {"pieces": pieces(target.to_text, trace.tokens)}
            yield shared | setting | outcome(target, trace, said) | spelt | timing
