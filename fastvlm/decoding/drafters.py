"""Who proposes. One face for all: the bare early exit (SSD), the imitation network (FastVLM), and what was said before.

A drafter that leaves the decoder at layer n guesses the last layer's hidden state from layer n's; the model's own final
norm and LM head do the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from fastvlm.decoding.choice import GREEDY, Choice
from fastvlm.decoding.policies import Policy
from fastvlm.errors import UserError
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix


@dataclass(frozen=True)
class Bounds:
    """Of one round: at most `most` drafts, none behind an end token, and no more than `policy` wants; each is chosen by `choice`."""

    most: int
    end_tokens: Collection[int]
    policy: Policy
    choice: Choice = GREEDY


class Drafter(Protocol):
    """The loop calls `start` once, then per round `draft`, then `keep`.

    Verification begins at layer `exit_layer`, from the states that `draft` leaves.
    """

    exit_layer: int

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        """Take what stands before the answer, with its states at layer n; room for `new_tokens` more is needed."""

    def draft(self, decoder: Decoder, cache: KeyValueCache, text: Sequence[int], token: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        """What follows `text`, whose last is the pending `token` [1] -> (drafts [k], states at layer n [k + 1, hidden])."""

    def keep(self, states: Tensor, accepted: int) -> None:
        """Of a round's states at layer n the first `accepted` + 1 are now part of the text."""


class ExitDrafter:
    """Drafts with the first `exit_layer` layers of the model that verifies, one token after the other."""

    def __init__(self, exit_layer: int):
        self.exit_layer = exit_layer

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        """Nothing to remember."""

    def guess(self, hidden: Tensor) -> Tensor:
        """State of the newest token at layer n, [1, hidden] -> the last layer's state as guessed, [1, hidden]."""
        raise NotImplementedError

    def choose(self, logits: Tensor, choice: Choice) -> Tensor:
        """The draft, [1], of the head's logits [1, vocabulary]."""
        return choice.draft(logits)

    def keep(self, states: Tensor, accepted: int) -> None:
        """Nothing to remember."""

    def draft(self, decoder: Decoder, cache: KeyValueCache, text: Sequence[int], token: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        """The last draft, too, runs through the first n layers, so that verification can tell what follows it."""
        drafts: list[Tensor] = []
        states: list[Tensor] = []
        while True:
            place = cache.length + len(drafts)
            state = decoder.run(decoder.embed(token, place), cache, place, last=self.exit_layer)
            states.append(state)
            if len(drafts) == bounds.most or (drafts and _is_end(token, bounds.end_tokens)):
                break
            if bounds.policy.watches and not bounds.policy.goes_on():
                break
            logits = decoder.head(self.guess(state))
            # Before it is drawn: a draft may be dropped for what it was drawn from, not for what it is.
            if bounds.policy.watches and not bounds.policy.wants(confidence(logits)):
                break
            token = self.choose(logits, bounds.choice)
            drafts.append(token)
        return torch.cat(drafts) if drafts else token[:0], torch.cat(states)


class EarlyExit(ExitDrafter):
    """Self-speculative decoding without training: layer n's state stands for the last layer's."""

    def guess(self, hidden: Tensor) -> Tensor:
        return hidden


class MlpImitation(ExitDrafter):
    """FastVLM with a network that looks at one position: nothing to remember between tokens."""

    def __init__(self, exit_layer: int, network: nn.Module):
        super().__init__(exit_layer)
        self.network = network

    def guess(self, hidden: Tensor) -> Tensor:
        return self.network(hidden)


class TransformerImitation(ExitDrafter):
    """FastVLM with a network of decoder layers, which attend to the text so far through a cache of its own.

    It reads the text as late as it can, in one go with the token that it guesses from: where nothing is drafted it costs nothing.
    """

    def __init__(self, exit_layer: int, network: Decoder):
        super().__init__(exit_layer)
        self.network = network

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        self.unread = prefix.hidden[self.exit_layer]  # of the text, what is not in the cache yet
        self.cache = self.network.new_cache(len(self.unread) + new_tokens, prefix.memory)
        self.known = 0  # tokens of the cache that are text; those behind are drafts of this round

    def guess(self, hidden: Tensor) -> Tensor:
        if self.cache.length == self.known:
            hidden = torch.cat((self.unread, hidden))
        guessed = self.network.run(hidden, self.cache, self.cache.length)
        self.cache.length += len(hidden)
        return guessed[-1:]

    def keep(self, states: Tensor, accepted: int) -> None:
        text = torch.cat((self.unread, states[: accepted + 1]))
        self.unread = text[self.cache.length - self.known :]
        self.known = self.cache.length = min(self.cache.length, self.known + len(text))


class PromptLookup:
    """Drafts without a model: what followed the last time that the newest tokens stood in prompt or answer.

    Source: Saxena, 'Prompt lookup decoding' (2023); in transformers `prompt_lookup_num_tokens`. The longest of `MATCHES` counts.
    """

    MATCHES = (3, 2, 1)
    exit_layer = 0

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        self._tokens = prefix.prompt.tolist()
        self._prompt = len(self._tokens)
        self._after: dict[tuple[int, ...], int] = {}
        self._indexed = 0

    def draft(self, decoder: Decoder, cache: KeyValueCache, text: Sequence[int], token: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        self._tokens += text[len(self._tokens) - self._prompt :]
        self._index()
        found = self._follows(bounds.most)
        end = next((place for place, draft in enumerate(found, start=1) if draft in bounds.end_tokens), len(found))
        drafts = token.new_tensor(found[:end])
        return drafts, decoder.embed(torch.cat((token, drafts)), cache.length)

    def keep(self, states: Tensor, accepted: int) -> None:
        """The text itself is what is remembered."""

    def _index(self) -> None:
        """Where what followed begins, for every run of tokens that something follows."""
        for end in range(self._indexed, len(self._tokens) - 1):
            for size in self.MATCHES:
                if size <= end + 1:
                    self._after[tuple(self._tokens[end + 1 - size : end + 1])] = end + 1
        self._indexed = max(self._indexed, len(self._tokens) - 1)

    def _follows(self, most: int) -> list[int]:
        for size in self.MATCHES:
            place = self._after.get(tuple(self._tokens[-size:]))
            if place is not None:
                return self._tokens[place : place + most]
        return []


def confidence(logits: Tensor) -> float:
    """Probability of the likeliest of [1, vocabulary]."""
    return float(logits.softmax(-1).max())


def _is_end(token: Tensor, end_tokens: Collection[int]) -> bool:
    """Stop drafting at the end of the text, where looking at the token is free: on an accelerator it would wait."""
    return token.device.type == "cpu" and int(token) in end_tokens


def check_exit_layer(exit_layer: int, layers: int) -> None:
    """Drafting must leave the full model at least one layer to verify with."""
    if not 1 <= exit_layer < layers:
        raise UserError(f"exit layer {exit_layer}: outside the decoder; expected 1 to {layers - 1}, as it has {layers} layers")
