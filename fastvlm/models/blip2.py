"""BLIP-2: ViT, Q-Former, projection, and OPT or T5 as the language model (Li et al., arXiv 2301.12597)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fastvlm.models.backbone import Backbone, Batch, DecoderOnly, ids_of


class Blip2(Backbone):
    """What both language models share, over a `Blip2ForConditionalGeneration`."""

    @property
    def language(self) -> PreTrainedModel:
        return self.model.language_model

    @property
    def norm(self) -> nn.Module:
        return self.language.get_decoder().final_layer_norm

    @property
    def end_tokens(self) -> frozenset[int]:
        # generate() of the whole hands over to the language model, which goes by its own generation config.
        return ids_of(self.language.generation_config.eos_token_id)

    def sight(self) -> list[nn.Parameter]:
        parts = (self.model.vision_model, self.model.qformer, self.model.language_projection)
        return [self.model.query_tokens, *(weight for part in parts for weight in part.parameters())]

    def image_features(self, pixels: Tensor) -> Tensor:
        return self.model.get_image_features(pixel_values=pixels).pooler_output


class Blip2Opt(Blip2, DecoderOnly):
    """OPT reads image, prompt and answer in one sequence."""

    family = "blip2-opt"

    @property
    def layers(self) -> nn.ModuleList:
        return self.language.get_decoder().layers

    def outputs(self, layer: nn.Module) -> list[nn.Linear]:
        return [layer.self_attn.out_proj, layer.fc2]


class Blip2T5(Blip2):
    """T5's encoder reads image and prompt; its decoder begins with a start token and attends to what the encoder made of them."""

    family = "blip2-t5"
    overflows_in = frozenset({torch.float16})  # as transformers' own documentation says

    @property
    def encoder(self) -> nn.Module:
        return self.language.encoder

    @property
    def layers(self) -> nn.ModuleList:
        return self.language.decoder.block

    def position_biases(self) -> list[nn.Parameter]:
        return [stack[0].layer[0].SelfAttention.relative_attention_bias.weight for stack in self.stacks()]

    def stacks(self) -> list[nn.ModuleList]:
        return [self.language.encoder.block, self.language.decoder.block]

    def outputs(self, layer: nn.Module) -> list[nn.Linear]:
        *attentions, feed_forward = layer.layer
        projections = [part.SelfAttention.o if hasattr(part, "SelfAttention") else part.EncDecAttention.o for part in attentions]
        return [*projections, feed_forward.DenseReluDense.wo]

    def begin(self, prompt: list[int]) -> int:
        return 0

    def hidden(self, batch: Batch) -> Tensor:
        memory, mask = self.read(batch)
        start = self.language.config.decoder_start_token_id
        ids = self.pad([[start, *answer[:-1]] for answer in batch.answers])
        seen = {"encoder_hidden_states": memory, "encoder_attention_mask": mask}
        return self.language.decoder(input_ids=ids, use_cache=False, **seen).last_hidden_state

    def read_prompt(self, ids: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.tensor([self.language.config.decoder_start_token_id], device=self.device)
        memory = self.encoder(inputs_embeds=self.embed(ids, pixels)).last_hidden_state
        return self.model.get_input_embeddings()(start), memory[0]

    def read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The encoder's states [batch, tokens, hidden] and which of them are the prompt's, [batch, tokens]."""
        embedded = self.embed(self.pad(batch.prompts), batch.pixel_values.to(self.device))
        mask = prompt_mask(batch.prompts).to(self.device)
        return self.encoder(inputs_embeds=embedded, attention_mask=mask).last_hidden_state, mask

    def logits(self, normed: Tensor) -> Tensor:
        config = self.language.config
        return super().logits(normed * config.d_model**-0.5 if config.scale_decoder_outputs else normed)

    def new_tokens(self, ids: Tensor, prompt: Tensor) -> Tensor:
        return ids[:, 1:]  # the start token


def prompt_mask(prompts: Sequence[list[int]]) -> Tensor:
    """[prompts, longest], 1 where a prompt has a token."""
    lengths = torch.tensor([[len(prompt)] for prompt in prompts])
    return (torch.arange(int(lengths.max())) < lengths).long()
