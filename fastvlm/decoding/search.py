"""The search stage: which sublayers a drafter is best without (Draft & Verify, Zhang et al., arXiv 2309.08168, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import torch
from optuna.distributions import CategoricalDistribution

from fastvlm.data.example import read_manifest
from fastvlm.decoding.agreement import ReadText, agreement, expected_speedup, read_text
from fastvlm.decoding.trials import KINDS, Outcome, Skipped, Trials
from fastvlm.errors import UserError
from fastvlm.imitation.store import fingerprint as backbone_fingerprint
from fastvlm.methods import most_skipped
from fastvlm.models.corpus import answer_ids
from fastvlm.models.load import load_target
from fastvlm.models.target import Target
from fastvlm.models.training_state import fingerprint
from fastvlm.progress import progress
from fastvlm.provenance import code_digest
from fastvlm.rows import read_rows, write_json
from fastvlm.table_file import Record, write_table

COLUMNS = ("trial", *KINDS, "share_run", "agreement", "expected_speedup")
RANKED = 3  # of the trials, one in so many skips the sublayers that do least harm alone; the others are the sampler's


class Trial(NamedTuple):
    """What was skipped, and what came of it; `number` is None where it is one sublayer alone, to see what it does."""

    number: int | None
    skipped: Skipped
    outcome: Outcome


@torch.inference_mode()
def search(knobs: dict[str, Any], model: Path, manifests: Sequence[Path], texts: Path | None, output: Path) -> None:
    """Write `trials.csv` and `skips.json`, the best trial, into the folder `output`; killed and started again, it goes on.

    Measured on texts of validation images: the model's own, which `texts` holds, else the first references. No clock is read, so that one
    seed finds one set. Knobs: `seed`, `trials`, `texts` (count at most), `most_skipped` (share of the sublayers), `longest_draft`.
    Raises `UserError` where nothing may be skipped, or there is no text of two tokens.
    """
    torch.set_num_threads(knobs["threads"])
    target = load_target(model, knobs)
    layers = len(target.decoder.layers)
    most = most_skipped(knobs["most_skipped"], layers)
    if most < 1:
        raise UserError(
            f"{model}: of its {2 * layers} sublayers a share of {knobs['most_skipped']} is none; expected a larger most_skipped"
        )
    heard = _held_out(knobs, target, manifests, texts)
    backbone = backbone_fingerprint(model)
    inputs = [*manifests, *([texts] if texts else [])]
    task = fingerprint({**knobs, "backbone": backbone}, inputs, code_digest("fastvlm.decoding.search"))
    measure = _measure_on(target, heard, knobs["longest_draft"])
    journal = Trials(output / ".checkpoint" / "trials.jsonl", task, measure)
    trials = find(journal.outcome, 2 * layers, most, count=knobs["trials"], seed=knobs["seed"])
    write_table(output / "trials.csv", COLUMNS, (_shown(trial.skipped) | _found(trial, layers) for trial in trials))
    best = max(trials, key=lambda trial: trial.outcome.speedup)  # of equals the first
    asked = {name: knobs[name] for name in knobs if name != "device"} | {"backbone": backbone, "texts_read": len(heard)}
    write_json(output / "skips.json", asked | best.skipped._asdict() | _found(best, layers))
    journal.clear()


def find(outcome: Callable[[Skipped], Outcome], sublayers: int, most: int, *, count: int, seed: int) -> list[Trial]:
    """Each of so many sublayers skipped alone, then `count` trials, of which each skips at most `most`.

    The first trials skip ever more of the sublayers that do least harm alone; then a tree-structured Parzen estimator (Bergstra et al.,
    NeurIPS 2011; optuna's) says which. Where it would skip too many, those that do most harm alone are kept.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ones = [Skipped.of([place]) for place in range(sublayers)]
    trials = [Trial(None, one, outcome(one)) for one in progress(ones, "skipping one sublayer")]
    ranked = sorted(range(sublayers), key=lambda place: -trials[place].outcome.agreement)
    space = {f"{KINDS[place % 2]} {place // 2}": CategoricalDistribution((False, True)) for place in range(sublayers)}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=0))
    sizes = _sizes(most, max(1, count // RANKED))
    for number in progress(range(count), "searching what to skip"):
        if number < len(sizes):
            study.enqueue_trial({name: place in ranked[: sizes[number]] for place, name in enumerate(space)})
        asked = study.ask(space)
        wanted = [place for place, name in enumerate(space) if asked.params[name]]
        skipped = Skipped.of(sorted(wanted, key=ranked.index)[:most])
        trials.append(Trial(number, skipped, outcome(skipped)))
        study.tell(asked, trials[-1].outcome.speedup)
    return trials


def _sizes(most: int, count: int) -> list[int]:
    """At most `count` numbers up to `most`, evenly spread, `most` among them."""
    return sorted({-(-most * step // min(count, most)) for step in range(1, min(count, most) + 1)})


def _measure_on(target: Target, heard: Sequence[ReadText], longest: int) -> Callable[[Skipped], Outcome]:
    def measure(skipped: Skipped) -> Outcome:
        thinner = target.decoder.without(*skipped)
        agreed = [agreement(thinner, text) for text in heard]
        share_run = skipped.share_run(len(target.decoder.layers))
        return Outcome(sum(map(sum, agreed)) / sum(map(len, agreed)), expected_speedup(agreed, share_run, longest))

    return measure


def _shown(skipped: Skipped) -> Record:
    return {kind: " ".join(map(str, of)) for kind, of in skipped._asdict().items()}


def _found(trial: Trial, layers: int) -> Record:
    outcome = {"agreement": trial.outcome.agreement, "expected_speedup": trial.outcome.speedup}
    return {"trial": trial.number, "share_run": trial.skipped.share_run(layers), **outcome}


def _held_out(knobs: dict[str, Any], target: Target, manifests: Sequence[Path], texts: Path | None) -> list[ReadText]:
    """At most `texts` of the validation texts that have something to agree on, spread over the datasets."""
    spoken, tokenizer = {row["id"]: row["tokens"] for row in read_rows(texts)} if texts else {}, target.backbone.processor.tokenizer
    examples = [example for manifest in manifests for example in read_manifest(manifest, "validation")]
    told = [(example, spoken[example.id] if texts else answer_ids(tokenizer, example.references[0])) for example in examples]
    told = [(example, tokens) for example, tokens in told if len(tokens) > 1]
    if not told:
        raise UserError("no validation example has a text of two tokens, so nothing can be searched on; expected a dataset with some")
    count = min(knobs["texts"], len(told))
    chosen = [told[index * len(told) // count] for index in range(count)]
    return [read_text(target, example, tokens, knobs["longest_draft"]) for example, tokens in progress(chosen, "reading held-out texts")]
