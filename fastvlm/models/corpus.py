"""A model's training data: pictures and tokenised references, in batches of like length that depend on the step alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase, ProcessorMixin

from fastvlm.data.example import Example
from fastvlm.data.prompts import prompt_parts, prompt_text
from fastvlm.errors import UserError
from fastvlm.models.backbone import Batch
from fastvlm.progress import progress

POOLED_BATCHES = 8  # batches that are drawn together and sorted by length


class Corpus:
    """Examples as token ids of a family's prompts, sorted from the shortest to the longest."""

    def __init__(self, examples: Sequence[Example], processor: ProcessorMixin, family: str):
        tokenizer = processor.tokenizer
        answers = [[answer_ids(tokenizer, text) for text in example.references] for example in examples]
        texts = [prompt_text(family, example) for example in examples]
        prompts = _prompt_ids(processor, examples[0], texts)
        lengths = [len(prompts[text]) + np.mean([len(answer) for answer in of]) for text, of in zip(texts, answers, strict=True)]
        order = sorted(range(len(examples)), key=lambda i: (lengths[i], examples[i].id))
        self.examples = [examples[i] for i in order]
        self.answers = [answers[i] for i in order]
        self.vocabulary = len(tokenizer)
        self._prompts = [prompts[texts[i]] for i in order]
        self._replies = [_replies(tokenizer, prompt_parts(family, example), len(prompts[texts[i]])) for i, example in enumerate(examples)]
        self._replies = [self._replies[i] for i in order]
        self._lengths = [lengths[i] for i in order]
        shown = {example.sha256: example for example in self.examples}
        self._pictures = {sha256: place for place, sha256 in enumerate(shown)}
        self._pixels = torch.cat(
            [_pixel_values(processor, example) for example in progress(shown.values(), "reading pictures", len(shown))]
        )

    def __len__(self) -> int:
        return len(self.examples)

    def pixels(self, rows: Sequence[int]) -> Tensor:
        """[len(rows), 3, height, width]."""
        return self._pixels[[self._pictures[self.examples[row].sha256] for row in rows]]

    def prompt_ids(self, row: int) -> list[int]:
        """The prompt with one placeholder an image token."""
        return self._prompts[row]

    def words(self, rows: Sequence[int]) -> Tensor:
        """[len(rows), vocabulary]: 1 where a token stands in any reference of the row."""
        present = torch.zeros(len(rows), self.vocabulary)
        for index, row in enumerate(rows):
            present[index, [token for answer in self.answers[row] for token in answer]] = 1
        return present

    def of_tasks(self, tasks: Collection[str] | None, share: float) -> np.ndarray:
        """The rows of these tasks (None: all), the `share` of them with the shortest texts."""
        rows = np.flatnonzero([tasks is None or example.task in tasks for example in self.examples])
        if not rows.size:
            raise UserError(f"training: no example of the tasks {', '.join(tasks)}; expected a dataset of one of them with train images")
        return rows[: max(1, round(share * rows.size))]

    def rows(self, step: int, size: int, members: np.ndarray, seed: int) -> list[int]:
        """The rows of a step's batch, from `members`."""
        rng = np.random.default_rng((seed, step // POOLED_BATCHES))
        pool = np.sort(rng.integers(0, len(members), size * POOLED_BATCHES))
        return members[np.split(pool, POOLED_BATCHES)[rng.permutation(POOLED_BATCHES)[step % POOLED_BATCHES]]].tolist()

    def batch(self, step: int, size: int, members: np.ndarray, seed: int, *, most_tokens: int) -> Batch:
        """A step's batch: one reference of each row, drawn by step and seed; fewer rows than `size` where `most_tokens` allow no more."""
        rows = self.rows(step, size, members, seed)
        # Those that stay are spread over the lengths: the longest would else never be learned.
        fit = max(1, int(most_tokens / self._lengths[rows[-1]]))
        rows = [rows[at] for at in np.linspace(len(rows) - 1, 0, min(fit, len(rows))).astype(int)]
        rng = np.random.default_rng((seed, step, 1))
        return self.collate(rows, [self.answers[row][rng.integers(len(self.answers[row]))] for row in rows])

    def collate(self, rows: Sequence[int], answers: Sequence[list[int]]) -> Batch:
        """Rows with one answer each."""
        return Batch(self.pixels(rows), [self.prompt_ids(row) for row in rows], answers, [self._replies[row] for row in rows])


def answer_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """An answer as the model is to say it, its end included."""
    return tokenizer.encode(f" {text}", add_special_tokens=False) + [tokenizer.eos_token_id]


def _pixel_values(processor: ProcessorMixin, example: Example) -> Tensor:
    return processor.image_processor(example.pixels(), return_tensors="pt")["pixel_values"]


def _replies(tokenizer: PreTrainedTokenizerBase, parts: list[str], length: int) -> list[tuple[int, int]]:
    """The spans of a prompt of `length` tokens in which the model is to have answered: its parts 1, 3, ...

    Counted from its end, as a processor puts placeholders and special tokens before the first answer.
    """
    spans, end = [], length
    for index in range(len(parts) - 1, 0, -1):
        begin = end - len(tokenizer.encode(parts[index], add_special_tokens=False))
        if index % 2:
            spans.append((begin, end))
        end = begin
    return spans[::-1]


def _prompt_ids(processor: ProcessorMixin, example: Example, texts: Collection[str]) -> dict[str, list[int]]:
    """Each text as token ids with one placeholder an image token, which are the same for any picture."""
    picture = example.pixels()
    return {text: processor(images=picture, text=text)["input_ids"][0] for text in sorted(set(texts))}
