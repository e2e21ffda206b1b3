"""How a decoder knows where its tokens stand: rotary angles, a learned table, or a bias on the scores by distance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from fastvlm.errors import UserError


@dataclass(frozen=True)
class Positions:
    """What a pass over tokens at positions `start`..`stop`-1 needs to know of them; the same for all its layers.

    `mask` is added to the scores: [tokens, stop], or [heads, tokens, stop] where it depends on the head; -inf where a
    token may not look; None for a single token that may look everywhere. `cos` and `sin` are [tokens, 1, head_dim], the
    first half of `sin` negated; None where positions are not rotary.
    """

    start: int
    stop: int
    mask: Tensor | None
    cos: Tensor | None = None
    sin: Tensor | None = None

    def remember(self, cached: Tensor, new: Tensor) -> Tensor:
        """Put the tokens' keys and values, [2 * kv_heads, tokens, head_dim], into their places; returns what may be looked at."""
        cached[:, self.start : self.stop] = new
        return cached[:, : self.stop]


@dataclass(frozen=True)
class FixedPositions:
    """`Positions` whose shapes do not depend on where the tokens stand: all of the cache is looked at, and the mask, [tokens, capacity]
    or [heads, tokens, capacity], hides what is not there yet. `places` is [tokens]."""

    places: Tensor
    mask: Tensor
    cos: Tensor | None = None
    sin: Tensor | None = None

    def remember(self, cached: Tensor, new: Tensor) -> Tensor:
        """As `Positions.remember`."""
        return cached.index_copy_(1, self.places, new)


class Places:
    """Positions that layers need not know: causal masks only. Those of single tokens, the most frequent, are at hand."""

    most: int | None = None  # positions that the model knows; None where any can be placed

    def __init__(self, like: Tensor):
        self._like = like
        self._single: list[Positions] = []

    def reach(self, capacity: int) -> None:
        """Get ready for positions below `capacity`."""
        if len(self._single) < capacity:
            self._extend(capacity)
            self._single = [self._at(start, start + 1) for start in range(capacity)]

    def put(self, embedded: Tensor, start: int) -> Tensor:
        """Embedded tokens [tokens, hidden], which stand from `start` on -> what the first layer reads."""
        return embedded

    def at(self, start: int, tokens: int) -> Positions:
        """Those of a pass over `tokens` tokens from `start` on."""
        return self._single[start] if tokens == 1 else self._at(start, start + tokens)

    def fixed(self, start: Tensor, tokens: int, capacity: int) -> FixedPositions:
        """As `at`, with `start` [] on the device, for a cache of `capacity` tokens, which must be within reach."""
        places = start + torch.arange(tokens, device=start.device)
        return FixedPositions(places, self._hidden_behind(places, capacity))

    def put_branches(self, embedded: Tensor, positions: Tensor) -> Tensor:
        """As `put`, for tokens at any `positions`, [tokens]."""
        return embedded

    def of_branches(self, start: int, depths: Tensor, looks: Tensor) -> Positions:
        """Those of a pass over a `TokenTree` that continues a text of `start` tokens, or leaves it before its end."""
        return Positions(start, start + len(depths), self._branching(start, looks))

    def _extend(self, capacity: int) -> None:
        pass

    def _at(self, start: int, stop: int) -> Positions:
        return Positions(start, stop, self._causal(start, stop))

    def _causal(self, start: int, stop: int) -> Tensor | None:
        if stop - start == 1:
            return None
        mask = self._like.new_zeros(stop - start, stop)
        mask[:, start:] = torch.full((stop - start, stop - start), float("-inf"), device=mask.device).triu(1)
        return mask

    def _hidden_behind(self, places: Tensor, capacity: int) -> Tensor:
        ahead = torch.arange(capacity, device=places.device) > places.unsqueeze(1)
        return self._like.new_zeros(ahead.shape).masked_fill_(ahead, float("-inf"))

    def _branching(self, start: int, looks: Tensor) -> Tensor:
        mask = self._like.new_zeros(len(looks), start + len(looks))
        mask[:, -looks.shape[1] :].masked_fill_(~looks, float("-inf"))
        return mask


class Rotary(Places):
    """Llama: queries and keys are turned by angles that grow with the position (Su et al., arXiv 2104.09864)."""

    def __init__(self, like: Tensor, rotary: nn.Module):
        super().__init__(like)
        self._rotary = rotary

    def _extend(self, capacity: int) -> None:
        positions = torch.arange(capacity, device=self._like.device).unsqueeze(0)
        cos, sin = self._rotary(self._like[:1], positions)
        half = cos.shape[-1] // 2
        self._cos = cos[0].unsqueeze(1)
        self._sin = torch.cat((-sin[0, :, :half], sin[0, :, half:]), -1).unsqueeze(1)

    def _at(self, start: int, stop: int) -> Positions:
        return Positions(start, stop, self._causal(start, stop), self._cos[start:stop], self._sin[start:stop])

    def fixed(self, start: Tensor, tokens: int, capacity: int) -> FixedPositions:
        causal = super().fixed(start, tokens, capacity)
        return replace(causal, cos=self._cos[causal.places], sin=self._sin[causal.places])

    def of_branches(self, start: int, depths: Tensor, looks: Tensor) -> Positions:
        positions = start + depths
        return Positions(start, start + len(depths), self._branching(start, looks), self._cos[positions], self._sin[positions])


class Learned(Places):
    """OPT: a vector for each position is added to the embedding, once; the table's first `offset` rows stand for none."""

    def __init__(self, like: Tensor, table: Tensor, offset: int):
        super().__init__(like)
        self._table = table[offset:]
        self.most = len(self._table)

    def put(self, embedded: Tensor, start: int) -> Tensor:
        return embedded + self._table[start : start + len(embedded)]

    def put_branches(self, embedded: Tensor, positions: Tensor) -> Tensor:
        return embedded + self._table[positions]

    def _extend(self, capacity: int) -> None:
        if capacity > self.most:
            raise UserError(f"a text of {capacity} tokens, prompt included: the model knows {self.most} positions; expected fewer")


class Relative(Places):
    """T5: each head adds a learned number to a score, by distance (Raffel et al., arXiv 1910.10683, section 2.1)."""

    def __init__(self, like: Tensor, attention: nn.Module):
        """`attention` is the `T5Attention` that owns the table: of a stack, only that of the first block."""
        super().__init__(like)
        self._attention = attention

    def _extend(self, capacity: int) -> None:
        """`_by_offset` is [heads, 2 * capacity]: the bias at distance d stands at capacity - 1 - d, what lies ahead holds -inf."""
        behind = self._attention.compute_bias(1, capacity, past_seen_tokens=capacity - 1)[0, :, 0].detach()
        self._by_offset = torch.cat((behind, torch.full_like(behind, float("-inf"))), 1)
        self._capacity = capacity

    def _at(self, start: int, stop: int) -> Positions:
        rows = self._by_offset.unfold(1, stop, 1)  # row r: as seen from position capacity - 1 - r
        mask = rows[:, self._capacity - stop : self._capacity - start]
        return Positions(start, stop, mask if stop - start == 1 else mask.flip(1))

    def fixed(self, start: Tensor, tokens: int, capacity: int) -> FixedPositions:
        places = start + torch.arange(tokens, device=start.device)
        distances = places.unsqueeze(1) - torch.arange(capacity, device=start.device)
        return FixedPositions(places, self._by_offset[:, self._capacity - 1 - distances])

    def of_branches(self, start: int, depths: Tensor, looks: Tensor) -> Positions:
        positions = start + depths
        distances = positions.unsqueeze(1) - torch.cat((torch.arange(start, device=positions.device), positions))
        bias = self._by_offset[:, self._capacity - 1 - distances]
        return Positions(start, start + len(depths), bias + self._branching(start, looks))
