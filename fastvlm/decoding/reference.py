"""transformers' own `generate`, timed beside plain decoding: a further row, not the baseline of any speed-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastvlm.data.example import Example
from fastvlm.decoding import contenders
from fastvlm.decoding.choice import choice_of, seed_of
from fastvlm.decoding.compare import outcome
from fastvlm.decoding.race import compete
from fastvlm.decoding.replay import Replay
from fastvlm.decoding.rounds import in_one
from fastvlm.decoding.stopwatch import timed
from fastvlm.decoding.trace import Trace
from fastvlm.models.target import Target


def measure(
    target: Target, example: Example, *, turn: int, repeats: int, limit: int, sampling: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """The row of one example. `generate` cannot be cut after prefill: its decoding is what it takes beyond one token."""
    inputs, device = target.prepare(example), target.decoder.device
    prefix, prefill_seconds = timed(lambda: target.prefill(inputs, limit), device)
    drawn = (example.id, example.sha256)
    its_own = {**sampling, "seed": seed_of(sampling["seed"], *drawn, "generate")} if sampling else None
    acts = [
        partial(contenders.plain(target, limit).rounds, choice=choice_of(sampling, device, *drawn, "plain")),
        *(in_one(lambda prefix, most=most: generate(target, inputs, most, its_own)) for most in (limit, 1)),
    ]
    traces, (baseline, whole, one_token) = compete(prefix, acts, repeats=repeats, turn=turn, device=device)
    yield {
        "example": example.id,
        "prompt_tokens": prefix.length,
        "policy": "",
        "exit_layer": None,
        "draft_length": None,
        **outcome(target, traces[1], None if sampling else Replay(target, inputs, traces[0].tokens)),
        "prefill_seconds": one_token,
        "decode_seconds": whole - one_token,
        "baseline_prefill_seconds": prefill_seconds,
        "baseline_decode_seconds": baseline,
    }


def generate(target: Target, inputs: dict[str, Tensor], limit: int, sampling: Mapping[str, Any] | None = None) -> Trace:
    """The new tokens, the end token included, with transformers' defaults for this checkpoint.

    Greedy, or drawn by `temperature`, `top_k` and `top_p` of `sampling`, with torch's own generator at its `seed`: it takes no other.
    """
    how = {"do_sample": False}
    if sampling:
        torch.manual_seed(sampling["seed"])
        # Left out, transformers would take its own defaults.
        how = {
            "do_sample": True,
            "temperature": sampling["temperature"],
            "top_k": sampling["top_k"] or 0,
            "top_p": sampling["top_p"] or 1.0,
        }
    ids = target.backbone.model.generate(**inputs, max_new_tokens=limit, **how)
    return Trace(target.backbone.new_tokens(ids, inputs["input_ids"])[0].tolist())
