"""A plan in words: the table, what is not known, and what will not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from fastvlm.planning.machine import Machine
from fastvlm.planning.plan import Row
from fastvlm.planning.rates import BANDWIDTH
from fastvlm.planning.sources import Source
from fastvlm.table_file import write_table

COLUMNS = (
    *("model", "dataset", "jobs", "device", "download_bytes", "device_bytes", "host_bytes"),
    *("tokens_per_second", "rate", "hours"),
)
NOTES = f"""
Hours count decoding and the generation of texts: every text as long as it may become, drafts as slow as plain decoding.
They leave out downloading, loading, prefill, and the training of small models and imitation networks.
An assumed rate stands for {BANDWIDTH["cpu"] / 1e9:.0f} GB/s of weights read on a CPU, {BANDWIDTH["cuda"] / 1e9:.0f} GB/s on a GPU; \
better: --tokens-per-second MODEL=NUMBER.
GB are 10^9 bytes, and on a CPU the device is the host; "-" does not apply, "?" is not known."""


def describe(experiment: str, rows: Sequence[Row], sources: Mapping[str, Source], machine: Machine, unknown: Mapping[str, str]) -> str:
    """The whole text; `unknown` says by dataset why its size is not known."""
    origins = [f"{name}: {_origin(source)}" for name, source in sources.items()]
    lines = [*origins, *(f"{name}: unknown: {reason}" for name, reason in unknown.items() if reason)]
    misfits = list(find_misfits(rows, machine)) or ["All that is known fits on this machine."]
    return "\n".join([_headline(experiment, rows, machine), "", _table(rows), "", *lines, "", *misfits, NOTES])


def find_misfits(rows: Sequence[Row], machine: Machine) -> Iterator[str]:
    """A line for each model, kind of memory, and for the disk where downloads go, of what is too small."""
    for model in dict.fromkeys(row.model for row in rows if row.model):
        own = [row for row in rows if row.model == model]
        device, host = own[0].device, max((row.host_bytes or 0 for row in own), default=0)
        room = machine.device_bytes(device)
        stages: dict[str, int] = {}
        for name, size in (item for row in own for item in row.stages.items()):
            stages[name] = max(size, stages.get(name, 0))
        if large := {name: size for name, size in stages.items() if size > room}:
            needs = ", ".join(f"{name} {_gb(size)} GB" for name, size in large.items())
            yield f"WILL NOT FIT: {model} on {device}: {needs}; {_room(device, room)}"
        if device == "cuda" and host > machine.host_bytes:
            yield f"WILL NOT FIT: {model} in host memory: {_gb(host)} GB to load it; this machine has {_gb(machine.host_bytes)} GB"
    downloads = sum(row.download_bytes or 0 for row in rows)
    if downloads > machine.free_disk_bytes:
        yield f"WILL NOT FIT: downloads of {_gb(downloads)} GB into {machine.downloads}; {_gb(machine.free_disk_bytes)} GB are free"


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """The rows as a table: bytes, hours; what is not known is empty."""
    write_table(path, COLUMNS, (_record(row) for row in rows))


def _headline(experiment: str, rows: Sequence[Row], machine: Machine) -> str:
    gpu = f"a GPU of {_gb(machine.cuda_bytes)} GB" if machine.cuda_bytes else "no GPU"
    has = f"this machine has {_gb(machine.host_bytes)} GB of memory and {gpu}"
    downloads, hours = sum(row.download_bytes or 0 for row in rows), sum(row.hours or 0 for row in rows)
    known = f"{sum(row.jobs for row in rows)} jobs, {_gb(downloads)} GB to download, {_short(hours)} hours as far as known"
    return f"{experiment}: {known}; {has}"


def _origin(source: Source) -> str:
    if source.shape is None:
        return source.origin
    return f"{source.shape.family}, {source.shape.parameters.total / 1e6:,.1f} M parameters; {source.origin}"


def _table(rows: Sequence[Row]) -> str:
    return pd.DataFrame([_cells(row) for row in rows]).to_string(index=False)


def _cells(row: Row) -> dict[str, object]:
    unknown = "?" if row.model else "-"
    by_model, by_dataset = ("-", unknown) if row.dataset else (unknown, "-")
    rate = row.rate
    return {
        "model": row.model or "(all)",
        "dataset": row.dataset or "(all)",
        "jobs": row.jobs,
        "download GB": by_model if row.download_bytes is None else _gb(row.download_bytes),
        "device": row.device or "-",
        "device GB": unknown if row.device_bytes is None else _gb(row.device_bytes),
        "host GB": unknown if row.host_bytes is None else _gb(row.host_bytes),
        "tokens/s": _short(rate.tokens_per_second) if rate else by_dataset,
        "rate": rate.origin if rate else by_dataset,
        "hours": unknown if row.hours is None else _short(row.hours),
    }


def _record(row: Row) -> dict[str, object]:
    own = {name: getattr(row, name) for name in ("model", "dataset", "jobs", "device", "download_bytes", "device_bytes", "host_bytes")}
    rate = {"tokens_per_second": row.rate and row.rate.tokens_per_second, "rate": row.rate.origin if row.rate else ""}
    return own | rate | {"hours": row.hours}


def _room(device: str, room: int) -> str:
    return f"this machine has {_gb(room)} GB" if room or device == "cpu" else "this machine has no GPU"


def _gb(size: int) -> str:
    return f"{size / 1e9:,.1f}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2f}"
