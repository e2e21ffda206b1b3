"""`python -m benchmarks.ranking`: are the candidates of a round ranked five times as fast as one by one?

One by one, picture and prompt run again for each candidate; both ways are the same engine's. The models have random weights and
are made on the spot; the round has a history of nine and a hundred candidates.
"""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer

from benchmarks.load_and_decode import an_example
from fastvlm.data.example import Dialogue, Example
from fastvlm.data.prompts import prompt_text
from fastvlm.decoding.rank import log_likelihoods
from fastvlm.decoding.stopwatch import timed
from fastvlm.models.families import FAMILIES
from fastvlm.models.load import load_target
from fastvlm.models.zoo import build_backbone, build_processor
from fastvlm.table_file import write_table

KNOBS = {
    "vocabulary": 600, "hidden": 96, "intermediate": 256, "heads": 4, "vision_hidden": 64, "vision_layers": 2,
    "image_size": 48, "patch_size": 16, "query_tokens": 9, "qformer_layers": 2,
}  # fmt: skip
WORDS = (
    "yes",
    "no",
    "it",
    "is",
    "there",
    "are",
    "a",
    "the",
    "red",
    "blue",
    "circle",
    "square",
    "two",
    "left",
    "right",
    "of",
    "large",
    "in",
)
ENOUGH = 5.0
COLUMNS = ("family", "layers", "prompt_tokens", "candidates", "seconds", "seconds_one_by_one", "speedup", "largest_difference", "enough")


def main(
    layers: Annotated[int, typer.Option(help="Decoder layers.")] = 24,
    candidates: Annotated[int, typer.Option(help="Candidates of the round.")] = 100,
    repeats: Annotated[int, typer.Option(help="The median of so many is taken.")] = 3,
    output: Annotated[Path, typer.Option(help="The table to write.")] = Path("results/ranking.csv"),
) -> None:
    asked = a_round(candidates, random.Random(0))
    rows = [measure(family, layers, asked, repeats) for family in FAMILIES]
    write_table(output, COLUMNS, rows)
    print(*map(describe, rows), sep="\n")
    raise typer.Exit(not all(row["enough"] for row in rows))


@torch.inference_mode()
def measure(family: str, layers: int, asked: Example, repeats: int) -> dict[str, Any]:
    """Seconds of a round, together and one by one, in turn; and by how much the likelihoods differ."""
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder), family, layers, asked)
        target = load_target(Path(folder), {"device": "cpu", "dtype": "float32"})
    inputs, candidates, device = target.prepare(asked), asked.dialogue.candidates, target.decoder.device
    ways = (
        lambda: log_likelihoods(target, inputs, candidates),
        lambda: torch.cat([log_likelihoods(target, inputs, [candidate]) for candidate in candidates]),
    )
    rounds = [[timed(way, device) for way in ways] for _ in range(repeats)]
    (together, _), (one_by_one, _) = rounds[-1]
    seconds, slow = (median(results[way][1] for results in rounds) for way in range(2))
    sizes = {"family": family, "layers": layers, "prompt_tokens": inputs["input_ids"].shape[1], "candidates": len(candidates)}
    times = {"seconds": seconds, "seconds_one_by_one": slow, "speedup": slow / seconds, "enough": int(slow / seconds >= ENOUGH)}
    return sizes | times | {"largest_difference": (together - one_by_one).abs().max().item()}


def save(folder: Path, family: str, layers: int, asked: Example) -> None:
    """A random model of the family, with a tokenizer that knows the words."""
    torch.manual_seed(0)
    texts = [prompt_text(family, asked), *(f" {text}" for text in asked.dialogue.candidates)]
    processor = build_processor(KNOBS | {"family": family}, texts * 2)
    processor.save_pretrained(folder)
    build_backbone(KNOBS | {"family": family}, processor, layers).model.save_pretrained(folder)


def a_round(candidates: int, rng: random.Random) -> Example:
    """The tenth round of a dialogue, its candidates of one to eight words."""
    texts = iter(lambda: " ".join(rng.choices(WORDS, k=rng.randint(1, 8))), None)
    history = tuple((f"is {text}", answer) for text, answer in islice(zip(texts, texts, strict=True), 9))
    answers = tuple(islice(texts, candidates))
    return replace(an_example(), task="dialogue", prompt="is it large", dialogue=Dialogue("a red circle", history, answers, right=0))


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['family']}, {row['layers']} layers, prompt of {row['prompt_tokens']} tokens, {row['candidates']} candidates: "
        f"{row['seconds']:.3f} s, one by one {row['seconds_one_by_one']:.3f} s, {row['speedup']:.1f} times as fast"
        f"{'' if row['enough'] else ', NOT ENOUGH'}; likelihoods differ by {row['largest_difference']:.1e} at most"
    )


if __name__ == "__main__":
    typer.run(main)
