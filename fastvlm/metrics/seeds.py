"""How much the seed of its training matters to an imitation network: agreement and acceptance on validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from fastvlm.errors import UserError
from fastvlm.imitation.card import read_card
from fastvlm.rows import read_rows
from fastvlm.table_file import Record, write_table

MEASURED = ("agreement", "acceptance_rate")
COLUMNS = (
    "experiment",
    "model",
    "network",
    "exit_layer",
    "statistic",
    "seed",
    "raced",
    "agreement",
    "drafted",
    "accepted",
    "acceptance_rate",
)
SPREAD: dict[str, Callable] = {"mean": fmean, "min": min, "max": max}


def write_seeds(experiment: str, networks: Sequence[tuple[str, Path]], observations: Sequence[tuple[str, Path]], output: Path) -> None:
    """Write `network_seeds.csv`: a line a model, exit layer and seed, and the mean, least and greatest of the seeds.

    `networks` are (model, folder of a network), a model's first seed, which is raced, before the others; `observations` are
    (model, what the observe stage wrote), one a seed in the same order: acceptance is at the longest draft length, untimed.
    Raises `UserError` where a model's observations are not as many as its seeds, or lack an exit layer.
    """
    lines = []
    for model in dict.fromkeys(model for model, _ in networks):
        cards = [read_card(folder) for of, folder in networks if of == model]
        seeds = list(dict.fromkeys(card["seed"] for card in cards))
        watched = [path for of, path in observations if of == model]
        if len(watched) != len(seeds):
            raise UserError(f"{model}: {len(watched)} files of observations were given; expected {len(seeds)}, one a seed")
        key = {"experiment": experiment, "model": model}
        lines += [key | record for record in _of_model(cards, dict(zip(seeds, watched, strict=True)))]
    write_table(output, COLUMNS, lines)


def _of_model(cards: Sequence[dict[str, Any]], watched: dict[int, Path]) -> Iterator[Record]:
    raced = next(iter(watched))
    accepted = {seed: _acceptance(path) for seed, path in watched.items()}
    for exit_layer in dict.fromkeys(card["exit_layer"] for card in cards):
        lines = []
        for card in (card for card in cards if card["exit_layer"] == exit_layer):
            if exit_layer not in accepted[card["seed"]]:
                raise UserError(f"{watched[card['seed']]}: nothing of exit layer {exit_layer}; run the observe stage again")
            own = {name: card[name] for name in ("network", "exit_layer", "seed", "agreement")}
            lines.append(own | {"raced": int(card["seed"] == raced)} | accepted[card["seed"]][exit_layer])
        yield from lines
        for name, of in SPREAD.items():
            spread = {column: _over(of, [line[column] for line in lines]) for column in MEASURED}
            yield {"network": lines[0]["network"], "exit_layer": exit_layer, "statistic": name} | spread


def _acceptance(observations: Path) -> dict[int, Record]:
    """What was drafted and what stood, by exit layer."""
    counts: dict[int, tuple[int, int]] = {}
    for row in read_rows(observations):
        drafted, accepted = counts.get(row["exit_layer"], (0, 0))
        own = [(len(confidences), stood) for _, stood, confidences in row["rounds"]]
        counts[row["exit_layer"]] = (drafted + sum(n for n, _ in own), accepted + sum(n for _, n in own))
    return {
        exit_layer: {"drafted": drafted, "accepted": accepted, "acceptance_rate": accepted / drafted if drafted else None}
        for exit_layer, (drafted, accepted) in counts.items()
    }


def _over(of: Callable, values: Sequence[float | None]) -> float | None:
    return None if None in values else of(values)
