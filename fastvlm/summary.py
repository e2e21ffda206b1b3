"""One screen: what the tables say at the settings that validation chose."""

from __future__ import annotations

from collections.abc import Sequence

from fastvlm.selection import choice
from fastvlm.table_file import Record

HEADER = ("dataset", "method", "exit", "policy", "K", "decode speed-up", "end to end", "acceptance", "tokens/pass", "equal")


def summarise(speedups: Sequence[Record], acceptances: Sequence[Record]) -> str:
    """Fixed-width text, a block a model, a line a dataset and method; an absent value is shown as `-`."""
    rates = {choice(record): record for record in acceptances}
    blocks = []
    for model in dict.fromkeys(record["model"] for record in speedups):
        lines = [_line(record, rates.get(choice(record), {})) for record in speedups if record["model"] == model]
        blocks.append(f"{speedups[0]['experiment']} / {model}\n{_align([HEADER, *lines])}")
    return "\n\n".join(blocks)


def _line(speedup: Record, rate: Record) -> tuple[str, ...]:
    where = (
        f"{speedup['dataset']} (n={speedup['examples']})",
        speedup["method"],
        _text(speedup["exit_layer"]),
        speedup["policy"] or "-",
        _text(speedup["draft_length"]),
    )
    spans = (_interval(speedup, "decode_speedup"), _interval(speedup, "e2e_speedup"))
    tokens = _text(rate.get("tokens_per_target_pass"), ".2f")
    return (*where, *spans, _text(rate.get("acceptance_rate"), ".3f"), tokens, _equal(speedup))


def _equal(speedup: Record) -> str:
    """The share of texts that are plain decoding's, or what is claimed of texts that are drawn."""
    return speedup["claim"] if speedup["equal_to_baseline"] is None else _text(speedup["equal_to_baseline"], ".1%")


def _interval(record: Record, name: str) -> str:
    if record[name] is None:
        return "-"
    return f"{record[name]:.2f} [{_text(record[f'{name}_low'], '.2f')}, {_text(record[f'{name}_high'], '.2f')}]"


def _text(value: float | None, style: str = "") -> str:
    return "-" if value is None else format(value, style)


def _align(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
