"""Where drafting stops to pay: speed-up by the length of the text, with each method at the setting that validation chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastvlm.metrics.bootstrap import resample
from fastvlm.metrics.runs import Row, Runs, Setting, group, read_runs
from fastvlm.metrics.speed import SPEEDS, decode_speedup, e2e_speedup
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import KEY_COLUMNS, Record, write_table

COLUMNS = (*KEY_COLUMNS, "tokens_low", "tokens_high", "mean_output_tokens", *SPEEDS)
# A row of the method beside the tokens of plain decoding's text for the same example.
Measured = tuple[Row, int]


def write_limits(knobs: Mapping[str, Any], rows: Sequence[Path], selection: Path, output: Path) -> None:
    """Write `limits.csv`: a line a model, dataset, drafting method and bin of plain decoding's output tokens, and for each model and
    method one of all datasets together, which has no dataset and no setting, as those differ.

    `rows` are decode rows; knobs: `seed`, `resamples`, `confidence` (0 to 1). Raises `UserError` as `read_runs` and `keep_selected` do.
    """
    runs = read_runs(rows, "test")
    chosen = keep_selected([setting._asdict() for setting in runs], read_selection(selection))
    drafting = [setting for record in chosen if (setting := Setting(**record)).draft_length is not None]
    lengths = {(s.model, s.dataset, row["example"]): row["output_tokens"] for s, of in runs.items() if s.method == "baseline" for row in of}
    write_table(output, COLUMNS, _lines(knobs, runs, drafting, lengths))


def bin_of(tokens: int) -> tuple[int, int]:
    """The shortest and the longest text, in tokens, of the bin of a text: 1-2, 3-4, 5-8, 9-16 and so on."""
    high = max(2, 1 << (tokens - 1).bit_length())
    return (1 if high == 2 else high // 2 + 1), high


def _lines(knobs: Mapping[str, Any], runs: Runs, drafting: Sequence[Setting], lengths: Mapping[tuple, int]) -> Iterator[Record]:
    measured = {s: [(row, lengths[s.model, s.dataset, row["example"]]) for row in runs[s]] for s in drafting}
    for setting, of in measured.items():
        yield from (setting._asdict() | record for record in _bins(knobs, of))
    for (experiment, model, method), settings in group(drafting, "experiment", "model", "method").items():
        pooled = Setting(experiment, model, "", method, "", None, None)._asdict()
        yield from (pooled | record for record in _bins(knobs, [pair for setting in settings for pair in measured[setting]]))


def _bins(knobs: Mapping[str, Any], measured: Sequence[Measured]) -> Iterator[Record]:
    bins: dict[tuple[int, int], list[Measured]] = {}
    for row, tokens in measured:
        bins.setdefault(bin_of(tokens), []).append((row, tokens))
    for (low, high), inside in sorted(bins.items()):
        rows = [row for row, _ in inside]
        weights = resample(len(rows), knobs["resamples"], np.random.default_rng(knobs["seed"]))
        key = {"examples": len(rows), "tokens_low": low, "tokens_high": high}
        key |= {"mean_output_tokens": sum(tokens for _, tokens in inside) / len(rows)}
        spans = {"decode_speedup": decode_speedup, "e2e_speedup": e2e_speedup}
        yield key | {n: v for name, of in spans.items() for n, v in of(rows, weights, knobs["confidence"]).columns(name).items()}
