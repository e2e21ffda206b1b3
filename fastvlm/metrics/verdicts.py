"""What an interval lets one say, in words."""

from __future__ import annotations

from collections.abc import Mapping

Interval = dict[str, float | None]


def verdict(interval: Interval, rival: str = "plain decoding") -> str:
    """What the interval of a speed-up over a rival lets one say."""
    if interval["low"] is None or interval["high"] is None:
        return "not measured"
    if interval["low"] > 1:
        return f"faster than {rival}"
    return f"slower than {rival}" if interval["high"] < 1 else f"not distinguishable from {rival}"


def compare(ours: Interval, rival: Interval, names: tuple[str, str]) -> str:
    """Which of two speed-ups is above the other, where their intervals do not touch."""
    if None in (*ours.values(), *rival.values()):
        return "not measured"
    if ours["low"] > rival["high"]:
        return f"{names[0]} above {names[1]}, intervals apart"
    return f"{names[1]} above {names[0]}, intervals apart" if rival["low"] > ours["high"] else "intervals overlap"


def interval_of(record: Mapping, name: str) -> Interval:
    """The three columns of an estimate in a line of a table; empty where the line has none."""
    return {"value": record.get(name), "low": record.get(f"{name}_low"), "high": record.get(f"{name}_high")}
