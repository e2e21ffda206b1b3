"""What the frozen backbone thinks of a text: its hidden states at the exit layer and at the last, computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from fastvlm.models.corpus import Corpus
from fastvlm.progress import progress


@dataclass(frozen=True)
class States:
    """One text: `exit` is [tokens, hidden] at layer n; `last` is [spoken, hidden], the last layer's before the final norm, at the
    positions from which the text's tokens are predicted, which begin at `begin`."""

    exit: Tensor
    last: Tensor
    begin: int


class StatesBatch:
    """Texts of like length: `exit` is [batch, tokens, hidden], padded; `last` is [all spoken positions, hidden]."""

    def __init__(self, states: Sequence[States]):
        self.exit = torch.nn.utils.rnn.pad_sequence([state.exit for state in states], batch_first=True)
        self.last = torch.cat([state.last for state in states])
        self.spoken = torch.zeros(self.exit.shape[:2], dtype=torch.bool, device=self.exit.device)
        for row, state in enumerate(states):
            self.spoken[row, state.begin : state.begin + len(state.last)] = True


@torch.inference_mode()
def backbone_states(
    backbone: LlavaForConditionalGeneration, corpus: Corpus, answers: Sequence[list[int]], *, exit_layer: int, batch: int
) -> list[States]:
    """States of each row of the corpus with its answer, in the corpus' order (short texts first, so padding is little)."""
    found: dict[str, Tensor] = {}
    layers = backbone.model.language_model.layers
    hooks = [
        layers[exit_layer - 1].register_forward_hook(lambda _module, _inputs, output: found.update(exit=output)),
        layers[-1].register_forward_hook(lambda _module, _inputs, output: found.update(last=output)),
    ]
    states = []
    for start in progress(range(0, len(answers), batch), f"backbone states at layer {exit_layer}"):
        rows = range(start, min(start + batch, len(answers)))
        inputs = corpus.collate(rows, answers[start : start + batch]).to(backbone.device)
        backbone.model(input_ids=inputs.input_ids, pixel_values=inputs.pixel_values)
        for index, row in enumerate(rows):
            begin, spoken = len(corpus.prompt_ids(row)) - 1, len(answers[row])
            last = found["last"][index, begin : begin + spoken].clone()
            states.append(States(found["exit"][index, : begin + spoken].clone(), last, begin))
    for hook in hooks:
        hook.remove()
    return states


def batches(states: Sequence[States], size: int, rng: np.random.Generator) -> Iterator[StatesBatch]:
    """All texts once, in random batches of like length."""
    jitter = np.array([len(state.exit) for state in states]) + rng.uniform(0, 8, len(states))
    groups = np.array_split(np.argsort(jitter), -(-len(states) // size))
    for group in rng.permutation(len(groups)):
        yield StatesBatch([states[index] for index in groups[group]])
