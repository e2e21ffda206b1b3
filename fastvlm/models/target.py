"""A vision-language model as the decoding loop sees it: an image and a prompt in, a decoder with a filled cache out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from fastvlm.data.example import Example
from fastvlm.models.backbone import Backbone
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder


@dataclass(frozen=True)
class Prefix:
    """The state after prefill: what every method decodes from.

    `hidden[n]` is [`length`, hidden], the states at layer n of what the decoder has read, for the exit layers asked for;
    `first` is [1], the greedy first token of the answer; `memory` is [prompt tokens, hidden], the encoder's states, where
    an encoder reads the prompt; `prompt` is [tokens], the prompt's, placeholders included; `logits` is [1, vocabulary], those that
    the first token is chosen by.
    """

    cache: KeyValueCache
    length: int
    first: Tensor
    hidden: Mapping[int, Tensor]
    memory: Tensor | None = None
    prompt: Tensor | None = None
    logits: Tensor | None = None


@dataclass(frozen=True)
class Target:
    """A loaded checkpoint: transformers' model and, over its tensors, our decoder."""

    backbone: Backbone
    decoder: Decoder
    end_tokens: frozenset[int]

    @staticmethod
    def of(backbone: Backbone) -> Target:
        return Target(backbone, language_decoder(backbone), backbone.end_tokens)

    def prepare(self, example: Example) -> dict[str, Tensor]:
        """The processor's tensors: host work, untimed."""
        return self.backbone.prepare(example)

    def to_text(self, tokens: list[int]) -> str:
        return self.backbone.processor.tokenizer.decode(tokens, skip_special_tokens=True).strip()

    def prefill(self, inputs: dict[str, Tensor], new_tokens: int, exit_layers: Collection[int] = ()) -> Prefix:
        """Vision and prompt through all layers, into a new cache with room for `new_tokens` more."""
        decoder = self.decoder
        embedded, memory = self.backbone.read_prompt(inputs["input_ids"], inputs["pixel_values"])
        length = len(embedded)
        cache = decoder.new_cache(length + new_tokens, memory)
        hidden = decoder.places.put(embedded, 0)
        kept, done = {}, 0
        for exit_layer in sorted(exit_layers):
            kept[exit_layer] = hidden = decoder.run(hidden, cache, 0, first=done, last=exit_layer)
            done = exit_layer
        hidden = decoder.run(hidden, cache, 0, first=done)
        cache.length = length
        logits = decoder.head(hidden[-1:])
        return Prefix(cache, length, logits.argmax(-1), kept, memory, inputs["input_ids"][0], logits)


def language_decoder(backbone: Backbone) -> Decoder:
    """Our decoder over the tensors of the backbone's."""
    model = backbone.model
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return Decoder(backbone.dialect(), backbone.layers, embedding=embedding, head=head)
