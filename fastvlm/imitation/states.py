"""What the frozen backbone thinks of a text: its hidden states at the exit layer and at the last, computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fastvlm.models.backbone import Backbone
from fastvlm.models.corpus import Corpus
from fastvlm.progress import progress


@dataclass(frozen=True)
class States:
    """One text: `exit` is [tokens, hidden] at layer n; `last` is [spoken, hidden], the last layer's before the final norm, at the
    positions from which the text's `tokens`, [spoken], are predicted, which begin at `begin`; `memory` is [prompt tokens, hidden],
    the encoder's states, where there is an encoder."""

    exit: Tensor
    last: Tensor
    tokens: Tensor
    begin: int
    memory: Tensor | None


class StatesBatch:
    """Texts of like length: `exit` is [batch, tokens, hidden], padded; `last` is [all spoken positions, hidden], `tokens`
    [all spoken positions] what is said there.

    `memory` is [batch, prompt tokens, hidden], padded, and `mask` true where it is not padding; None without an encoder.
    """

    def __init__(self, states: Sequence[States]):
        self.exit = pad_sequence([state.exit for state in states], batch_first=True)
        self.last = torch.cat([state.last for state in states])
        self.tokens = torch.cat([state.tokens for state in states])
        self.spoken = torch.zeros(self.exit.shape[:2], dtype=torch.bool, device=self.exit.device)
        for row, state in enumerate(states):
            self.spoken[row, state.begin : state.begin + len(state.last)] = True
        self.memory = self.mask = None
        if states[0].memory is not None:
            memories = [state.memory for state in states]
            self.memory = pad_sequence(memories, batch_first=True)
            self.mask = pad_sequence([memory.new_ones(len(memory), dtype=torch.bool) for memory in memories], batch_first=True)

    def through(self, network: nn.Module) -> Tensor:
        """The guesses of `last` by a network whose weights are float32, [all spoken positions, hidden]."""
        memory = None if self.memory is None else self.memory.float()
        return network(self.exit.float(), memory, self.mask)[self.spoken]


@torch.inference_mode()
def backbone_states(backbone: Backbone, corpus: Corpus, answers: Sequence[list[int]], *, exit_layer: int, batch: int) -> list[States]:
    """States of each row of the corpus with its answer, in the corpus' order (short texts first, so padding is little)."""
    layers = backbone.layers
    watched = {"exit": layers[exit_layer - 1], "last": layers[-1], **({"memory": backbone.encoder} if backbone.encoder else {})}
    states: list[States] = []
    with watch(watched) as found:
        for start in progress(range(0, len(answers), batch), f"backbone states at layer {exit_layer}"):
            rows = range(start, min(start + batch, len(answers)))
            backbone.hidden(corpus.collate(rows, answers[start : start + batch]))
            states += [_of_row(backbone, found, index, corpus.prompt_ids(row), answers[row]) for index, row in enumerate(rows)]
    return states


def _of_row(backbone: Backbone, found: dict[str, Tensor], index: int, prompt: list[int], answer: list[int]) -> States:
    begin = backbone.begin(prompt)
    end = begin + len(answer)
    memory = found["memory"][index, : len(prompt)].clone() if "memory" in found else None
    last = found["last"][index, begin:end].clone()
    return States(found["exit"][index, :end].clone(), last, torch.tensor(answer, device=last.device), begin, memory)


@contextmanager
def watch(modules: dict[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """A dictionary that holds, by name, the states that each module returned last."""
    found: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for name, module in modules.items():
            hook = module.register_forward_hook(lambda _module, _inputs, output, name=name: found.update({name: _states(output)}))
            hooks.callback(hook.remove)
        yield found


def _states(output: object) -> Tensor:
    """Of what modules of transformers return: a tensor, a tuple that begins with it, or a record that names it."""
    if isinstance(output, Tensor):
        return output
    return output[0]


def groups(states: Sequence[States], size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The indices of all texts once, in random batches of like length."""
    jitter = np.array([len(state.exit) for state in states]) + rng.uniform(0, 8, len(states))
    split = np.array_split(np.argsort(jitter), -(-len(states) // size))
    return [split[index] for index in rng.permutation(len(split))]


def batches(states: Sequence[States], size: int) -> Iterator[StatesBatch]:
    """All texts once, in order."""
    for start in range(0, len(states), size):
        yield StatesBatch(states[start : start + size])
