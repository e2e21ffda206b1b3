"""How likely a model finds each of several answers: one prompt, then all answers in as few passes as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from fastvlm.models.cache import KeyValueCache
from fastvlm.models.target import Target
from fastvlm.models.tree import token_tree

Answer = tuple[int, ...]
PASS_TOKENS = 512  # the most that one pass reads, for scores and logits grow with it; one answer is never split


@torch.inference_mode()
def log_likelihoods(target: Target, inputs: dict[str, Tensor], candidates: Sequence[str]) -> Tensor:
    """[candidates], float64 on the CPU: log p(candidate | picture, prompt), in nats, summed over its tokens and the end of the text.

    A sum and not a mean, with the end, as the VisDial challenge's generative model is ranked. `inputs` are `Target.prepare`'s.
    Candidates of equal tokens get equal numbers. Raises `UserError` where the model cannot place so many tokens.
    """
    answers = [answer_tokens(target.backbone.processor.tokenizer, text) for text in candidates]
    distinct = list(dict.fromkeys(answers))
    last = len(target.decoder.layers)
    prefix = target.prefill(inputs, max(map(len, distinct)), {last})
    passes = list(packed(distinct))
    cache = prefix.cache.copy(prefix.length + max(sum(map(len, batch)) for batch in passes))
    found = [value for batch in passes for value in _of_pass(target, cache, prefix.hidden[last][-1:], batch)]
    by_answer = dict(zip(distinct, found, strict=True))
    return torch.tensor([by_answer[answer] for answer in answers], dtype=torch.float64)


def answer_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> Answer:
    """The tokens of an answer where it follows a prompt, each of which ends with a colon.

    Llama's and T5's tokenizers put a space of their own before a text, so that an answer alone may get other tokens.
    """
    before, whole = (tokenizer.encode(part, add_special_tokens=False) for part in (":", f": {text}"))
    return tuple(whole[len(before) :])


def end_token(target: Target) -> int:
    """The token that ends an answer: the tokenizer's own, unless the model stops at others (BLIP-2's OPT: a line's end)."""
    own = target.backbone.processor.tokenizer.eos_token_id
    return own if own in target.end_tokens else min(target.end_tokens)


def packed(answers: Sequence[Answer], most: int = PASS_TOKENS) -> Iterator[list[Answer]]:
    """The answers in their order, in lists of `most` tokens or fewer, or of one answer."""
    batch: list[Answer] = []
    for answer in answers:
        if batch and sum(map(len, batch)) + len(answer) > most:
            yield batch
            batch = []
        batch.append(answer)
    yield batch


def _of_pass(target: Target, cache: KeyValueCache, prompt: Tensor, answers: Sequence[Answer]) -> list[float]:
    """`prompt` is [1, hidden], the last layer's state of what stands before all answers; `cache` holds it."""
    decoder, end = target.decoder, end_token(target)
    tree = token_tree(answers, decoder.device)
    states = prompt  # row i predicts what follows token i of the tree
    if len(tree.tokens):  # there are none in an empty text
        states = torch.cat((prompt, decoder.run_tree(tree, cache, cache.length)))
    logits = decoder.head(states)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    rows = [row for path in tree.paths for row in (0, *path)]
    tokens = [token for answer in answers for token in (*answer, end)]
    steps = logits[rows, tokens] - logits.logsumexp(-1)[rows]
    return [part.sum().item() for part in steps.double().cpu().split([len(answer) + 1 for answer in answers])]
