"""Two ways to fine-tune for early exits: which layers' losses count in a step, and how often a layer is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import exp, log
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def loss_weights(knobs: dict[str, Any], layers: int, step: int) -> dict[int, float]:
    """Layer, 1 to `layers`, -> weight of its loss in a step."""
    if knobs["method"] == "ssd-joint":
        return joint_weights(knobs["exit_layers"], knobs["exit_weight"], layers)
    return layerskip_weights(knobs, layers, step)


def joint_weights(exit_layers: Sequence[int], exit_weight: float, layers: int) -> dict[int, float]:
    """The last layer's loss counts 1, those of the exits `exit_weight` together."""
    return dict.fromkeys(exit_layers, exit_weight / len(exit_layers)) | {layers: 1.0}


def layerskip_weights(knobs: dict[str, Any], layers: int, step: int) -> dict[int, float]:
    """LayerSkip's early-exit loss (Elhoushi et al., arXiv 2404.16710, section 4.1.2): weights grow as the square of the depth.

    Curriculum `rotational`: in a step every `rotation`-th layer counts, in the next step the layers behind these. `gradual`: first the last
    layer alone, then one more layer from above every steps / (2 layers) steps. The last layer always counts; the first has weight 0.
    """
    depths = range(1, layers - 1)  # as the paper counts them, from 0
    if knobs["curriculum"] == "rotational":
        depths = [depth for depth in depths if (depth - step) % knobs["rotation"] == 0]
    else:
        enabled = step * 2 * layers // knobs["training"]["steps"]
        depths = [depth for depth in depths if depth >= layers - 1 - enabled]
    summed = {depth: depth * (depth + 1) / 2 for depth in (*depths, layers - 2)}
    scale = knobs["exit_scale"]
    return {depth + 1: scale * summed[depth] for depth in depths} | {layers: layers - 1 + scale * summed[layers - 2]}


def dropout_rates(knobs: dict[str, Any], layers: int) -> list[float]:
    """Of each layer, the probability that a text skips it: 0 at the first, exponentially more, `dropout` at the last (section 4.1.1)."""
    return [knobs.get("dropout", 0.0) * (exp(depth * log(2) / (layers - 1)) - 1) for depth in range(layers)]


def draw_kept(rates: Sequence[float], texts: int, generator: np.random.Generator) -> Tensor:
    """[layers, texts]: whether a layer reads a text in a step."""
    return torch.from_numpy(generator.random((len(rates), texts)) >= np.array(rates)[:, None])


@contextmanager
def skipping(layers: nn.ModuleList, kept: Tensor) -> Iterator[None]:
    """Inside, a layer gives back what it was given for the texts that it does not read; `kept` is [layers, texts].

    As in the paper nothing is scaled up for it. Outside no layer is left out: at evaluation there is no such context.
    """
    with ExitStack() as hooks:
        for layer, reads in zip(layers, kept, strict=True):
            if not reads.all():
                hooks.callback(layer.register_forward_hook(_passes_by(reads), with_kwargs=True).remove)
        yield


def _passes_by(reads: Tensor):
    def hook(_layer, inputs: tuple, named: dict, output: Any) -> Any:
        given = inputs[0] if inputs else named["hidden_states"]
        state = output if isinstance(output, Tensor) else output[0]
        mixed = torch.where(reads.to(state.device)[:, None, None], state, given)
        # A layer of T5 also returns the bias that all layers share, which nobody may skip.
        return mixed if isinstance(output, Tensor) else (mixed, *output[1:])

    return hook
