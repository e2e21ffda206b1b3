"""Tokens per second of plain decoding, and where the number comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastvlm.errors import UserError
from fastvlm.planning.estimate import BYTES
from fastvlm.planning.shapes import Shape
from fastvlm.table_file import read_table

# Bytes read per second in decoding: some cores of a desktop's CPU, and a data centre's GPU. Real ones differ by a factor of a few.
BANDWIDTH = {"cpu": 20e9, "cuda": 1.5e12}
# Of a decoder layer's operations, however small: on a CPU of starting them, on a GPU of playing them back (0.09 ms on an H200).
LAYER_SECONDS = {"cpu": 60e-6, "cuda": 90e-6}

Measured = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Rate:
    """`origin` is given, measured or assumed."""

    tokens_per_second: float
    origin: str


def assume(shape: Shape, dtype: str, device: str) -> Rate:
    """Every token reads the decoder's weights once and starts each of its layers; a GPU does both at once."""
    reading, starting = shape.parameters_of_a_step * BYTES[dtype] / BANDWIDTH[device], shape.decoder_layers * LAYER_SECONDS[device]
    return Rate(1 / (reading + starting if device == "cpu" else max(reading, starting)), "assumed")


def read_measured(results: Path) -> Measured:
    """(model, dataset) -> tokens per second of plain decoding in a finished run's folder; empty where there is none."""
    path = results / "speedup.csv"
    records = read_table(path, "model", "dataset", "method", "decode_tokens_per_second") if path.is_file() else []
    baselines = [record for record in records if record["method"] == "baseline" and record["decode_tokens_per_second"]]
    return {(record["model"], record["dataset"]): record["decode_tokens_per_second"] for record in baselines}


def parse_given(pairs: list[str], models: list[str]) -> dict[str, float]:
    """MODEL=NUMBER texts -> model -> tokens per second; raises `UserError` for another model or a number that is not above 0."""
    return dict(_parse_pair(pair, models) for pair in pairs)


def _parse_pair(pair: str, models: list[str]) -> tuple[str, float]:
    model, _, text = pair.partition("=")
    if model not in models:
        raise UserError(f"--tokens-per-second {pair}: no model '{model}' in the configuration; expected one of {', '.join(models)}")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 < number < float("inf"):
        raise UserError(f"--tokens-per-second {pair}: found {text!r}, expected a number above 0, as in {model}=30")
    return model, number


def choose(name: str, dataset: str, given: Mapping[str, float], measured: Measured) -> Rate | None:
    """What was given on the command line, else what was measured; on another dataset if not on this one."""
    if name in given:
        return Rate(given[name], "given")
    own = {key: rate for key, rate in measured.items() if key[0] == name}
    found = own.get((name, dataset)) or (sum(own.values()) / len(own) if own else None)
    return Rate(found, "measured") if found else None
