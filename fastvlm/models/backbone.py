"""A vision-language model as training and distillation see it: transformers' own modules, and the few places where families differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from fastvlm.data.example import Example
from fastvlm.data.prompts import prompt_text
from fastvlm.models.dialects import DIALECTS, Dialect

UNLABELLED = -100  # as in transformers


@dataclass(frozen=True)
class Batch:
    """Pictures with prompts and answers: `pixel_values` is [batch, 3, height, width], the others token ids, a list each.

    `replies`: the answers that stand in each prompt, as its spans [begin, end).
    """

    pixel_values: Tensor
    prompts: Sequence[list[int]]
    answers: Sequence[list[int]]
    replies: Sequence[list[tuple[int, int]]] | None = None


class Backbone(ABC):
    """`model` and `processor` are transformers'. What it says is predicted by its decoder, one state a token."""

    family: ClassVar[str]
    overflows_in: ClassVar[frozenset[torch.dtype]] = frozenset()

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin):
        self.model, self.processor = model, processor

    @property
    @abstractmethod
    def language(self) -> PreTrainedModel:
        """The language model that speaks; its config is the decoder's."""

    @property
    @abstractmethod
    def layers(self) -> nn.ModuleList:
        """The decoder's layers."""

    @property
    @abstractmethod
    def norm(self) -> nn.Module:
        """The decoder's final norm."""

    @property
    @abstractmethod
    def end_tokens(self) -> frozenset[int]:
        """The ids that end a text."""

    @property
    def encoder(self) -> nn.Module | None:
        """The text encoder that reads the prompt, where the decoder does not do so itself."""
        return None

    @abstractmethod
    def sight(self) -> list[nn.Parameter]:
        """The weights that come before the language model."""

    def position_biases(self) -> list[nn.Parameter]:
        """What is added to attention for how far tokens stand apart, where that is learned as numbers."""
        return []

    @abstractmethod
    def image_features(self, pixels: Tensor) -> Tensor:
        """[batch, 3, height, width] -> what the language model reads in the placeholders' places, [batch, image tokens, hidden]."""

    @abstractmethod
    def stacks(self) -> list[nn.ModuleList]:
        """All lists of layers that grow together."""

    @abstractmethod
    def outputs(self, layer: nn.Module) -> list[nn.Linear]:
        """The projections of a layer of any stack that add to the residual stream."""

    @abstractmethod
    def hidden(self, batch: Batch) -> Tensor:
        """The decoder's states after its final norm, [batch, positions, hidden]; `begin` says where the answers' begin."""

    @abstractmethod
    def begin(self, prompt: list[int]) -> int:
        """The decoder's position from which an answer's first token is predicted."""

    @abstractmethod
    def read_prompt(self, ids: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the decoder reads before the answer, [tokens, hidden], and the encoder's states of the prompt, where there is one.

        `ids` is [1, tokens], `pixels` [1, 3, height, width]; learned positions are not added yet.
        """

    @abstractmethod
    def new_tokens(self, ids: Tensor, prompt: Tensor) -> Tensor:
        """The part of what `generate` returned, [batch, ids], that answers `prompt`, [batch, tokens]."""

    @property
    def device(self) -> torch.device:
        return self.model.device

    def dialect(self) -> Dialect:
        """How the decoder's layers are put together."""
        config = self.language.config
        return DIALECTS[config.model_type](config, self.language.get_decoder())

    def logits(self, normed: Tensor) -> Tensor:
        """States after the final norm -> [..., vocabulary]."""
        return self.model.get_output_embeddings()(normed)

    def prompt(self, example: Example) -> str:
        return prompt_text(self.family, example)

    def prepare(self, example: Example) -> dict[str, Tensor]:
        """`input_ids` [1, tokens] with one placeholder an image token, and `pixel_values` [1, 3, height, width]."""
        inputs = self.processor(images=example.pixels(), text=self.prompt(example), return_tensors="pt")
        return {"input_ids": inputs["input_ids"].to(self.device), "pixel_values": inputs["pixel_values"].to(self.device, self.model.dtype)}

    def embed(self, ids: Tensor, pixels: Tensor) -> Tensor:
        """[batch, tokens], pixels -> [batch, tokens, hidden]: embeddings with the image's features in the placeholders' places."""
        embedded = self.model.get_input_embeddings()(ids)
        places = (ids == self.model.config.image_token_id).unsqueeze(-1).expand_as(embedded)
        return embedded.masked_scatter(places, self.image_features(pixels).to(embedded.dtype))

    def labels(self, batch: Batch, positions: int) -> Tensor:
        """[batch, positions]: the token of the answer that is predicted there, or `UNLABELLED`."""
        labels = torch.full((len(batch.answers), positions), UNLABELLED)
        for row, prompt, answer in zip(labels, batch.prompts, batch.answers, strict=True):
            begin = self.begin(prompt)
            row[begin : begin + len(answer)] = torch.tensor(answer)
        return labels.to(self.device)

    def pad(self, rows: Sequence[list[int]]) -> Tensor:
        """[rows, longest], padded on the right."""
        width = max(map(len, rows))
        token = self.processor.tokenizer.pad_token_id
        return torch.tensor([row + [token] * (width - len(row)) for row in rows], device=self.device)


class DecoderOnly(Backbone):
    """The decoder reads prompt and answer in one sequence. Padding stands behind the text, where no token looks."""

    def begin(self, prompt: list[int]) -> int:
        return len(prompt) - 1

    def labels(self, batch: Batch, positions: int) -> Tensor:
        """Also of the answers that stand in the prompt: it is read by the layers that predict."""
        labels = super().labels(batch, positions)
        for row, prompt, spans in zip(labels, batch.prompts, batch.replies or (), strict=False):
            for begin, end in spans:
                row[begin - 1 : end - 1] = torch.tensor(prompt[begin:end])
        return labels

    def hidden(self, batch: Batch) -> Tensor:
        rows = [prompt + answer[:-1] for prompt, answer in zip(batch.prompts, batch.answers, strict=True)]
        embedded = self.embed(self.pad(rows), batch.pixel_values.to(self.device))
        return self.language.get_decoder()(inputs_embeds=embedded, use_cache=False).last_hidden_state

    def read_prompt(self, ids: Tensor, pixels: Tensor) -> tuple[Tensor, None]:
        return self.embed(ids, pixels)[0], None

    def new_tokens(self, ids: Tensor, prompt: Tensor) -> Tensor:
        return ids[:, prompt.shape[1] :]

    def stacks(self) -> list[nn.ModuleList]:
        return [self.layers]


def ids_of(value: int | list[int]) -> frozenset[int]:
    """Token ids as a generation config gives them: one, or a list."""
    return frozenset(value if isinstance(value, list) else [value])
