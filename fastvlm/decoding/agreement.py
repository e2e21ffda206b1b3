"""How far a drafter follows the full model, counted on finished texts: no draft is made and no clock is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from fastvlm.data.example import Example
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Target
from fastvlm.models.tree import TokenTree, rounds_tree


@dataclass(frozen=True)
class ReadText:
    """A text that the full model has read: its keys and values stand in `cache`, which has room to read it once more, as `tree`.

    `choices` is [tokens], what the full model says after each token of the text but the last.
    """

    cache: KeyValueCache
    tree: TokenTree
    choices: Tensor


def read_text(target: Target, example: Example, tokens: Sequence[int], length: int) -> ReadText:
    """The example's text of two tokens at least, for drafts of `length`."""
    decoder, spoken = target.decoder, len(tokens) - 1
    prefix = target.prefill(target.prepare(example), spoken)
    text = prefix.first.new_tensor(tokens[:-1])
    choices = decoder.head(decoder.run(decoder.embed(text, prefix.length), prefix.cache, prefix.length)).argmax(-1)
    prefix.cache.length += spoken
    return ReadText(prefix.cache.copy(prefix.length + 2 * spoken), rounds_tree(text, length), choices)


def agreement(thinner: Decoder, text: ReadText) -> list[bool]:
    """Whether `thinner` says what the full model says, after each token of the text but the last.

    It sees what it would see drafting: before its round the full model's keys and values, in its round its own.
    """
    drafted = thinner.head(thinner.run_tree(text.tree, text.cache, text.cache.length)).argmax(-1)
    return (drafted == text.choices).tolist()


def rounds(agreed: Sequence[bool], draft_length: int) -> Iterator[tuple[int, int]]:
    """(drafted, accepted) of each round in which a text is said, where a draft stands if `agreed` says so; none is past the end."""
    place = 0
    while place < len(agreed):
        drafts = agreed[place : place + draft_length]
        accepted = drafts.index(False) if False in drafts else len(drafts)
        yield len(drafts), accepted
        place += accepted + 1


def expected_speedup(agreed: Sequence[Sequence[bool]], share_run: float, longest: int) -> float:
    """Tokens of the texts over what it costs to draft and verify them, at the best draft length up to `longest`.

    Costs are counted in passes of the full model: a draft is the share of sublayers that it runs, a verification is one.
    """
    tokens = sum(map(len, agreed))

    def cost(draft_length: int) -> float:
        drafted = [drafted for text in agreed for drafted, _ in rounds(text, draft_length)]
        return len(drafted) + share_run * sum(drafted)

    return tokens / min(map(cost, range(1, longest + 1)))
