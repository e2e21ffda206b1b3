"""Continuations of one text as a tree: those that begin alike share the tokens of their beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenTree:
    """Tokens that follow a text in several ways, each after what it continues.

    `tokens` is [tokens]; `depths` [tokens], how many tokens stand between each and the text, below 0 where a branch leaves the text
    before its end; `looks` [tokens, columns], true where the row's token sees the column's: itself and what it continues. The last
    columns are the tree's tokens, those before them the last of the text; what stands before these is seen by all. `paths` holds a
    list of tokens a continuation, as numbers from 1 on.
    """

    tokens: Tensor
    depths: Tensor
    looks: Tensor
    paths: Sequence[list[int]]


def token_tree(continuations: Sequence[Sequence[int]], device: torch.device) -> TokenTree:
    """The tree of `continuations`, token ids each; the more of them begin alike, the smaller it is."""
    numbers: dict[tuple[int, int], int] = {}  # of what a token continues, where 0 is the text, and the token: its own
    paths = []
    for continuation in continuations:
        path = [0]
        for token in continuation:
            path.append(numbers.setdefault((path[-1], token), len(numbers) + 1))
        paths.append(path[1:])
    looks = torch.eye(len(numbers), dtype=torch.bool)
    for row, (before, _) in enumerate(numbers):
        if before:
            looks[row] |= looks[before - 1]
    tokens = torch.tensor([token for _, token in numbers], dtype=torch.long)
    return TokenTree(tokens.to(device), looks.sum(1).sub_(1).to(device), looks.to(device), paths)


def rounds_tree(text: Tensor, length: int) -> TokenTree:
    """The tokens of a text, [tokens], once more, in rounds of `length`: each sees the text up to where its round begins, and its round.

    So a drafter reads them whose rounds begin there: what came before was verified, and is in the cache as the full model left it.
    """
    place = torch.arange(len(text), device=text.device)
    begin = place // length * length
    before = place < begin.unsqueeze(1)
    own = (place >= begin.unsqueeze(1)) & (place <= place.unsqueeze(1))
    return TokenTree(text, place - len(text), torch.cat((before, own), 1), [])
