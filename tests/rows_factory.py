"""Decode rows made up for tests: the counts hold together as those of a real run do, the seconds are invented."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from fastvlm.provenance import MACHINES
from fastvlm.rows import write_json, write_rows

Row = dict[str, Any]
MACHINE_RECORDS = {name: {"cpu": f"CPU {name}", "cores": 2, "accelerator": "none", "python": "3.11", "threads": 1} for name in ("0", "1")}
TOKEN = 0.002
PREFILL = 0.01


def passes(rng: random.Random, draft_length: int, agreement: float, output_tokens: int, prompt: int) -> list[list[int]]:
    """[context, drafted, accepted] of a run of `output_tokens`; the last pass drafts no further than the limit."""
    made, committed, triples = prompt, 1, []
    while committed < output_tokens:
        drafted = min(draft_length, output_tokens - committed - 1)
        accepted = next((j for j in range(drafted) if rng.random() > agreement), drafted)
        triples.append([made, drafted, accepted])
        made, committed = made + accepted + 1, committed + accepted + 1
    return triples


def decode_row(rng: random.Random, method: str, exit_layer: int | None, draft_length: int | None, **fields: Any) -> Row:
    """One row; `fields` replaces any of its values."""
    tokens = fields.get("output_tokens", rng.randint(12, 40))
    agreement = fields.pop("agreement", 0.9 if method == "fastvlm" else 0.5)
    ran = [] if method == "generate" else passes(rng, draft_length or 0, agreement, tokens, prompt=21)
    noise, plain = rng.uniform(0.95, 1.05), TOKEN * (tokens - 1)
    step = TOKEN * (exit_layer or 0) / 16 * 1.3
    spent = (
        2.2 * plain
        if method == "generate"
        else sum(TOKEN * 1.1 * (drafted > 0) + TOKEN * (drafted == 0) + drafted * step for _, drafted, _ in ran)
    )
    drafts = draft_length is not None
    spelt = {"pieces": [" a", " red", " circ", "le", ","] * (tokens // 5) + ["."] * (tokens % 5)} if method == "baseline" else {}
    return {
        "experiment": "scenes", "model": "llava-small", "dataset": "scenes-caption", "split": "test", "method": method,
        "policy": "fixed" if drafts else "", "exit_layer": exit_layer, "draft_length": draft_length,
        "example": "test-0", "text": "A small red circle at the top.", "output_tokens": tokens, "prompt_tokens": 21,
        "equal_to_baseline": True, "first_difference": None, "logit_gap": None, "dtype": "float32", "passes": ran,
        "machine": "0", "code": "none+none",
        "prefill_seconds": PREFILL, "decode_seconds": spent * noise, "baseline_decode_seconds": plain, "baseline_prefill_seconds": PREFILL,
    } | spelt | fields  # fmt: skip


GRID = {
    "baseline": [(None, None)],
    "generate": [(None, None)],
    "ssd": [(layer, length) for layer in (4, 8) for length in (1, 2, 4, 8)],
    "fastvlm": [(layer, length) for layer in (1, 2) for length in (1, 2, 4, 8)],
}
TUNED = ("ssd", "fastvlm")


def decode_rows(method: str, examples: int = 6, seed: int = 0, split: str = "test", **fields: Any) -> list[Row]:
    """Rows of one decode file: every example at every exit layer and draft length of `GRID`."""
    rng = random.Random(f"{seed}-{method}-{fields.get('dataset')}-{fields.get('model')}")
    lengths = random.Random(seed)
    rows = []
    for index in range(examples):
        tokens = lengths.randint(*fields.get("between", (12, 40)))
        given = {"example": f"{split}-{index}", "split": split, "output_tokens": tokens} | {
            k: v for k, v in fields.items() if k != "between"
        }
        rows += [decode_row(rng, method, exit_layer, length, **given) for exit_layer, length in GRID[method]]
    return rows


def write_decode_files(
    folder: Path, examples: int = 6, methods: tuple[str, ...] = tuple(GRID), split: str = "test", **fields: Any
) -> list[Path]:
    """A decode file of one split for each method, named as the pipeline names them."""
    model, dataset = fields.get("model", "llava-small"), fields.get("dataset", "scenes-caption")
    paths = [folder / model / method / f"{dataset}.jsonl" for method in methods]
    for method, path in zip(methods, paths, strict=True):
        write_rows(path, decode_rows(method, examples, split=split, **fields))
        write_json(path.parent / MACHINES, MACHINE_RECORDS)
    return paths


def cost_rows(model: str = "llava-small", dataset: str = "scenes-caption") -> list[Row]:
    key = {"model": model, "dataset": dataset}
    baseline = key | {"method": "baseline", "exit_layer": None, "tokens_in_pass": 1, "target_pass_seconds": [0.002, 0.0025]}
    draft = {
        "draft_step_seconds": [0.0003, 0.0005],
        "draft_start_seconds": [0.0, 0.0],
        "draft_look_seconds": [0.0, 0.0],
        "added_parameters": 0,
        "added_bytes": 0,
    }
    settings = [("ssd", 4), ("ssd", 8), ("fastvlm", 1), ("fastvlm", 2)]
    rows = [baseline]
    for method, exit_layer in settings:
        of = key | {"method": method, "exit_layer": exit_layer}
        rows.append(of | draft)
        rows += [of | {"tokens_in_pass": k, "target_pass_seconds": [0.002 + 0.0001 * k, 0.0025]} for k in range(1, 10)]
    return rows
