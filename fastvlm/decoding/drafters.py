"""Who proposes: the bare early exit (SSD) or the imitation network (FastVLM). One face for both.

A drafter guesses the last layer's hidden state from layer n's; the model's own final norm and LM head do the rest.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from fastvlm.errors import UserError
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


class Drafter(Protocol):
    """`exit_layer` is n. The loop calls `start` once, then per round `guess` for each draft, then `keep`."""

    exit_layer: int

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        """Take what stands before the answer, with its states at layer n; room for `new_tokens` more is needed."""

    def guess(self, hidden: Tensor) -> Tensor:
        """State of the newest token at layer n, [1, hidden] -> the last layer's state as guessed, [1, hidden]."""

    def keep(self, states: Tensor, drafted: int, accepted: int) -> None:
        """Of a round's states at layer n, [drafted + 1, hidden], the first `accepted` + 1 are now part of the text."""


class EarlyExit:
    """Self-speculative decoding without training: layer n's state stands for the last layer's."""

    def __init__(self, exit_layer: int):
        self.exit_layer = exit_layer

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        pass

    def guess(self, hidden: Tensor) -> Tensor:
        return hidden

    def keep(self, states: Tensor, drafted: int, accepted: int) -> None:
        pass


class MlpImitation(EarlyExit):
    """FastVLM with a network that looks at one position: nothing to remember between tokens."""

    def __init__(self, exit_layer: int, network: nn.Module):
        super().__init__(exit_layer)
        self.network = network

    def guess(self, hidden: Tensor) -> Tensor:
        return self.network(hidden)


class TransformerImitation:
    """FastVLM with a network of one decoder layer, which attends to the text so far through a cache of its own."""

    def __init__(self, exit_layer: int, network: Decoder):
        self.exit_layer = exit_layer
        self.network = network

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        hidden = prefix.hidden[self.exit_layer]
        self.cache = self.network.new_cache(len(hidden) + new_tokens, prefix.memory)
        self.network.run(hidden, self.cache, 0)
        self.cache.length = len(hidden)
        self.unread = hidden[:0]

    def guess(self, hidden: Tensor) -> Tensor:
        if len(self.unread):
            hidden = torch.cat((self.unread, hidden))
            self.unread = self.unread[:0]
        guessed = self.network.run(hidden, self.cache, self.cache.length)
        self.cache.length += len(hidden)
        return guessed[-1:]

    def keep(self, states: Tensor, drafted: int, accepted: int) -> None:
        """When all drafts stand, the last of them was never read: it is read with the next round's first token."""
        self.unread = torch.cat((self.unread, states[drafted:])) if accepted == drafted else states[:0]
        self.cache.length -= max(drafted - accepted - 1, 0)


def check_exit_layer(exit_layer: int, layers: int) -> None:
    """Drafting must leave the full model at least one layer to verify with."""
    if not 1 <= exit_layer < layers:
        raise UserError(f"exit layer {exit_layer}: outside the decoder; expected 1 to {layers - 1}, as it has {layers} layers")
