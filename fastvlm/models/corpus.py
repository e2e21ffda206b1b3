"""A model's training data: pictures and tokenised references, in batches of like length that depend on the step alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import ProcessorMixin

from fastvlm.data.example import Example
from fastvlm.data.prompts import prompt_text
from fastvlm.models.backbone import Batch
from fastvlm.progress import progress

POOLED_BATCHES = 8  # batches that are drawn together and sorted by length


class Corpus:
    """Examples as token ids of a family's prompts, sorted from the shortest references to the longest."""

    def __init__(self, examples: Sequence[Example], processor: ProcessorMixin, family: str):
        tokenizer, end = processor.tokenizer, processor.tokenizer.eos_token_id
        answers = [[tokenizer.encode(f" {text}") + [end] for text in example.references] for example in examples]
        order = sorted(range(len(examples)), key=lambda i: (np.mean([len(answer) for answer in answers[i]]), examples[i].id))
        self.examples = [examples[i] for i in order]
        self.answers = [answers[i] for i in order]
        self.vocabulary = len(tokenizer)
        self._processor = processor
        self._texts = [prompt_text(family, example) for example in self.examples]
        self._pixels = torch.cat([self._pixel_values(example) for example in progress(self.examples, "reading pictures")])
        self._prompts = {text: self._prompt_ids(text) for text in sorted(set(self._texts))}

    def __len__(self) -> int:
        return len(self.examples)

    def pixels(self, rows: Sequence[int]) -> Tensor:
        """[len(rows), 3, height, width]."""
        return self._pixels[list(rows)]

    def prompt_ids(self, row: int) -> list[int]:
        """The prompt with one placeholder an image token."""
        return self._prompts[self._texts[row]]

    def words(self, rows: Sequence[int]) -> Tensor:
        """[len(rows), vocabulary]: 1 where a token stands in any reference of the row."""
        present = torch.zeros(len(rows), self.vocabulary)
        for index, row in enumerate(rows):
            present[index, [token for answer in self.answers[row] for token in answer]] = 1
        return present

    def rows(self, step: int, size: int, share: float, seed: int) -> list[int]:
        """The rows of a step's batch, from the `share` of the corpus with the shortest references."""
        rng = np.random.default_rng((seed, step // POOLED_BATCHES))
        pool = np.sort(rng.integers(0, max(1, round(share * len(self))), size * POOLED_BATCHES))
        return np.split(pool, POOLED_BATCHES)[rng.permutation(POOLED_BATCHES)[step % POOLED_BATCHES]].tolist()

    def batch(self, step: int, size: int, share: float, seed: int) -> Batch:
        """A step's batch: one reference of each row, drawn by step and seed."""
        rows = self.rows(step, size, share, seed)
        rng = np.random.default_rng((seed, step, 1))
        return self.collate(rows, [self.answers[row][rng.integers(len(self.answers[row]))] for row in rows])

    def collate(self, rows: Sequence[int], answers: Sequence[list[int]]) -> Batch:
        """Rows with one answer each."""
        return Batch(self.pixels(rows), [self.prompt_ids(row) for row in rows], answers)

    def _pixel_values(self, example: Example) -> Tensor:
        return self._processor.image_processor(example.pixels(), return_tensors="pt")["pixel_values"]

    def _prompt_ids(self, text: str) -> list[int]:
        return self._processor(images=self.examples[0].pixels(), text=text)["input_ids"][0]
