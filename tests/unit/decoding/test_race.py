"""Pairing: acts take turns round by round on a CPU, text by text elsewhere, and each act's seconds are its own."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.decoding import race
from fastvlm.decoding.race import compete
from fastvlm.decoding.rounds import advance, in_one
from fastvlm.decoding.trace import Trace
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.target import Prefix

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def empty_prefix() -> Prefix:
    return Prefix(KeyValueCache(torch.zeros(1, 2, 4, 2), [None]), 3, torch.tensor([1]), {})


def saying(name, lengths, order):
    """An act whose rounds give so many tokens; it notes when its turn comes."""

    def act(prefix):
        tokens = []
        for length in lengths:
            order.append((name, len(tokens)))
            tokens += [name] * length
            yield len(tokens)
        return Trace(tokens)

    return act


@given(lengths=st.lists(st.lists(st.integers(1, 5), max_size=6), min_size=1, max_size=4), turn=st.integers(0, 5))
def test_the_next_round_is_of_the_act_that_has_said_least(lengths, turn):
    order = []
    acts = [saying(name, own, order) for name, own in enumerate(lengths)]
    traces, seconds = compete(empty_prefix(), acts, repeats=1, turn=turn, device=CPU)
    assert [len(trace.tokens) for trace in traces] == list(map(sum, lengths)) and min(seconds) > 0
    order = order[len(list(filter(None, lengths))) :]  # each one's first round is had without the stopwatch
    assert sorted(order) == sorted((name, sum(own[:place])) for name, own in enumerate(lengths) for place in range(len(own)))
    # Each had said no more than any that had not ended: turns are in the order of what had been said.
    assert [said for _, said in order] == sorted(said for _, said in order)


@pytest.mark.parametrize("turn", [0, 1, 2])
@pytest.mark.parametrize(("device", "expected"), [(CPU, [0, 1, 2, 0, 1, 2]), (GPU, [0, 0, 1, 1, 2, 2])])
def test_each_act_runs_once_a_repeat_and_who_begins_changes(monkeypatch, turn, device, expected):
    monkeypatch.setattr(race, "timed", lambda act, device: (act(), 1.0))
    order = []
    acts = [saying(name, [1, 1], order) for name in range(3)]
    traces, seconds = compete(empty_prefix(), acts, repeats=2, turn=turn, device=device)
    assert [trace.tokens for trace in traces] == [[0, 0], [1, 1], [2, 2]]
    names = [name for name, _ in order]
    first, then = (names[:9], names[9:]) if device == CPU else (names[:6], names[6:])
    assert first[-6:] == [(name + turn) % 3 for name in expected] and then[-6:] == [(name + turn + 1) % 3 for name in expected]
    assert seconds == [3 if device == CPU else 1] * 3


def test_an_acts_seconds_are_those_of_its_own_rounds_and_the_median_of_repeats(monkeypatch):
    costs = {0: iter([1, 1, 1, 5, 5, 5, 2, 2, 2]), 1: iter([10, 10] * 3)}

    def stopwatch(act, device):
        done = act()
        return done, next(costs[done.tokens[0] if isinstance(done, Trace) else 0 if done < 4 else 1])

    monkeypatch.setattr(race, "timed", stopwatch)
    acts = [saying(0, [1, 1], []), saying(1, [4], [])]
    assert compete(empty_prefix(), acts, repeats=3, turn=0, device=CPU)[1] == [6, 20]


def test_what_cannot_be_left_before_its_end_is_a_loop_of_no_rounds():
    assert advance(in_one(lambda text: Trace(text))([1, 2])) == Trace([1, 2])


@pytest.mark.parametrize(("device", "untimed"), [(CPU, [0, 1]), (GPU, [])])
def test_on_a_cpu_each_act_has_its_first_round_once_before_the_stopwatch(monkeypatch, device, untimed):
    order = []
    monkeypatch.setattr(race, "timed", lambda act, device: (order.append("timed"), act())[1:] + (1.0,))
    compete(empty_prefix(), [saying(name, [1, 1], order) for name in range(2)], repeats=1, turn=0, device=device)
    assert order[: order.index("timed")] == [(name, 0) for name in untimed]


def test_memory_is_given_back_after_the_last_round(monkeypatch):
    """Not by the act whose text ends, under its stopwatch."""
    caches = weakref.WeakSet()

    def act(prefix):
        caches.add(prefix.cache)
        yield 1
        return Trace([1])

    left = []
    monkeypatch.setattr(race, "timed", lambda act, device: (act(), left.append(len(caches)) or 1.0))
    compete(empty_prefix(), [act, act], repeats=1, turn=0, device=CPU)
    gc.collect()
    assert left == [2] * 4 and not caches
