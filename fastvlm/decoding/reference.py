"""transformers' own `generate`, timed beside plain decoding: a further row, not the baseline of any speed-up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import Tensor

from fastvlm.data.example import Example
from fastvlm.decoding import contenders
from fastvlm.decoding.compare import compete, outcome
from fastvlm.decoding.replay import Replay
from fastvlm.decoding.stopwatch import timed
from fastvlm.decoding.trace import Trace
from fastvlm.models.target import Target


def measure(target: Target, example: Example, *, turn: int, repeats: int, limit: int) -> Iterator[dict[str, Any]]:
    """The row of one example. `generate` cannot be cut after prefill: its decoding is what it takes beyond one token."""
    inputs, device = target.prepare(example), target.decoder.device
    prefix, prefill_seconds = timed(lambda: target.prefill(inputs, limit), device)
    acts = [
        partial(contenders.plain(target, limit).decode, prefix),
        partial(generate, target, inputs, limit),
        partial(generate, target, inputs, 1),
    ]
    traces, (baseline, whole, one_token) = compete(acts, repeats=repeats, turn=turn, device=device)
    yield {
        "example": example.id,
        "prompt_tokens": prefix.length,
        "policy": "",
        "exit_layer": None,
        "draft_length": None,
        **outcome(target, traces[1], Replay(target, inputs, traces[0].tokens)),
        "prefill_seconds": one_token,
        "decode_seconds": whole - one_token,
        "baseline_prefill_seconds": prefill_seconds,
        "baseline_decode_seconds": baseline,
    }


def generate(target: Target, inputs: dict[str, Tensor], limit: int) -> Trace:
    """Greedy, with transformers' defaults for this checkpoint; the new tokens, the end token included."""
    ids = target.backbone.model.generate(**inputs, max_new_tokens=limit, do_sample=False)
    return Trace(target.backbone.new_tokens(ids, inputs["input_ids"])[0].tolist())
