"""Neighbours in time: several ways to decode the same example, each of which meets the machine as the others do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median

import torch

from fastvlm.decoding.rounds import Rounds, advance, finish
from fastvlm.decoding.stopwatch import timed
from fastvlm.decoding.trace import Trace
from fastvlm.models.target import Prefix

Act = Callable[[Prefix], Rounds]


def compete(prefix: Prefix, acts: Sequence[Act], *, repeats: int, turn: int, device: torch.device) -> tuple[list[Trace], list[float]]:
    """Decode `prefix` by each act, `repeats` times; who begins changes from example to example. Returns the traces and each act's median
    seconds.

    On a CPU acts take turns after each round, each in a cache of its own: what else a machine does slows it for tenths of a second, which
    is a whole text of one act and none of the next. Before that each has its first round once without the stopwatch: just behind a prompt
    rounds take up to twice their time, a large share of a text of few rounds and a small one of a text of many. An accelerator is not
    shared and its recorded passes belong to a cache: there each act decodes its text in one go.
    """
    run = _by_rounds if device.type == "cpu" else _by_texts
    ran = [run(prefix, acts, turn + repeat, device) for repeat in range(repeats)]
    traces, _ = ran[-1]
    return traces, [median(times) for times in zip(*(seconds for _, seconds in ran), strict=True)]


def _by_rounds(prefix: Prefix, acts: Sequence[Act], turn: int, device: torch.device) -> tuple[list[Trace], list[float]]:
    """The next round is of the act that has said least, so that all are at the same place of the text."""
    begin = [partial(act, apart(prefix)) for act in acts]  # holds the caches until all have ended: freeing them is no part of decoding
    for one in begin:
        advance(one())
    running = {place: one() for place, one in enumerate(begin)}
    said, seconds, traces = [0] * len(acts), [0.0] * len(acts), [Trace([])] * len(acts)
    while running:
        place = min(running, key=lambda place: (said[place], (place - turn) % len(acts)))
        done, taken = timed(partial(advance, running[place]), device)
        seconds[place] += taken
        if isinstance(done, Trace):
            traces[place] = done
            del running[place]
        else:
            said[place] = done
    return traces, seconds


def _by_texts(prefix: Prefix, acts: Sequence[Act], turn: int, device: torch.device) -> tuple[list[Trace], list[float]]:
    ran = {
        place: timed(lambda act=acts[place]: finish(act(prefix)), device)
        for place in ((number + turn) % len(acts) for number in range(len(acts)))
    }
    traces, seconds = zip(*(ran[place] for place in range(len(acts))), strict=True)
    return list(traces), list(seconds)


def apart(prefix: Prefix) -> Prefix:
    """The same in a cache of its own."""
    prefix.cache.length = prefix.length
    return replace(prefix, cache=prefix.cache.copy(prefix.cache.capacity))
