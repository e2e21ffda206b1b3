"""What the README says of a run: every method at the setting that validation chose, as test measured it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastvlm.errors import UserError
from fastvlm.metrics.verdicts import Interval, compare, interval_of, verdict
from fastvlm.rows import write_json
from fastvlm.selection import CHOICE, choice, keep_selected, read_selection
from fastvlm.table_file import Record, read_table


def write_headline(knobs: dict[str, Any], tables: Path, output: Path) -> None:
    """Write `headline.json` from the finished tables, `selection.csv` and `provenance.json` in the folder `tables`.

    `models` -> model -> dataset holds `methods` and the comparisons, `geometric_means` -> model -> method the means over a model's
    datasets of texts, and over all models under "". Knob: `confidence` (0 to 1), that of the tables.
    Raises `UserError` where a table, or a selected setting's line in it, is missing.
    """
    chosen = read_selection(tables / "selection.csv")
    speedups = keep_selected(read_table(tables / "speedup.csv", "decode_speedup", "claim"), chosen)
    extra = {name: _by_choice(tables / f"{name}.csv", column) for name, column in (("acceptance", "drafted"), ("quality", "bleu_4"))}
    models: dict[str, dict[str, Any]] = {}
    for record in speedups:
        place = models.setdefault(record["model"], {}).setdefault(record["dataset"], {"examples": record["examples"], "methods": {}})
        place["methods"][record["method"]] = _method(record, extra)
    for datasets in models.values():
        for place in datasets.values():
            place |= _comparisons(place["methods"])
    provenance = _read_provenance(tables / "provenance.json")
    written = {"experiment": speedups[0]["experiment"], "confidence": knobs["confidence"], "models": models, "provenance": provenance}
    write_json(output, written | {"geometric_means": _means(tables / "geometric_means.csv")})


def _means(path: Path) -> dict[str, dict[str, Any]]:
    means: dict[str, dict[str, Any]] = {}
    for record in read_table(path, "over", "cells", "decode_speedup", "e2e_speedup"):
        if not record["dataset"]:
            speeds = {f"{span}_speedup": interval_of(record, f"{span}_speedup") for span in ("decode", "e2e")}
            said = {"cells": record["cells"], **speeds, "verdict": record["verdict"]}
            means.setdefault(record["model"], {})[record["method"]] = said
    return means


def _by_choice(path: Path, column: str) -> dict[tuple, Record]:
    return {choice(record): record for record in read_table(path, *CHOICE, column)}


def _method(record: Record, extra: dict[str, dict[tuple, Record]]) -> dict[str, Any]:
    quality = extra["quality"].get(choice(record))
    if quality is None:
        raise UserError(f"quality.csv: no line for {'/'.join(choice(record)[:3])} at the selected setting; run the quality stage again")
    rate = extra["acceptance"].get(choice(record), {})
    decode = interval_of(record, "decode_speedup")
    return {
        "policy": record["policy"],
        "exit_layer": record["exit_layer"],
        "draft_length": record["draft_length"],
        "decode_speedup": decode,
        "e2e_speedup": interval_of(record, "e2e_speedup"),
        "verdict": verdict(decode),
        "acceptance_rate": interval_of(rate, "acceptance_rate"),
        "tokens_per_target_pass": rate.get("tokens_per_target_pass"),
        "equal_to_baseline": record["equal_to_baseline"],
        "claim": record["claim"],
        "bleu_4": quality["bleu_4"],
    }


def _comparisons(methods: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "generate" in methods:
        found["plain_decoder_over_generate"] = {
            span: _inverse(methods["generate"][f"{span}_speedup"]) for span in ("decode", "e2e")
        }  # fmt: skip
    if {"fastvlm", "ssd"} <= methods.keys():
        ours, rival = (methods[name]["decode_speedup"] for name in ("fastvlm", "ssd"))
        found["fastvlm_against_ssd"] = compare(ours, rival, ("fastvlm", "ssd"))
    return found


def _inverse(interval: Interval) -> Interval:
    turned = {"value": interval["value"], "low": interval["high"], "high": interval["low"]}
    return {end: float(f"{1 / value:.6g}") if value else None for end, value in turned.items()}


def _read_provenance(path: Path) -> Any:
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the tables stage first")
    return json.loads(path.read_text())
