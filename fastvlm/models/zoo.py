"""The small models of the default experiment: transformers' own classes, own tokenizer and processor, trained here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import (
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipImageProcessorPil,
    GenerationConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    T5ForConditionalGeneration,
)

from fastvlm.models.architectures import SPECIAL_IDS, SPECIAL_TOKENS, configuration
from fastvlm.models.backbone import Backbone
from fastvlm.models.families import FAMILIES

SMALL = 0.2  # of what transformers gives a linear layer of T5: about what it gives those of Llama and OPT
EMBEDDING_SPREAD = 0.05  # between theirs, 0.02, and what theirs grow to
PLACE_SPREAD = 0.5  # many times what transformers begins CLIP's positions at: patches that are told apart are soon named one by one
ANCHOR_SPREAD = 1.4  # sharp enough that a query's first look falls on its patch alone


def build_processor(knobs: dict[str, Any], texts: Iterable[str]) -> ProcessorMixin:
    """The family's processor, with a byte-level BPE that is trained on `texts`; pictures become squares as its authors make them."""
    size = knobs["image_size"]
    square = {"height": size, "width": size}
    if knobs["family"] != "llava":
        tokenizer = _train_tokenizer(knobs["vocabulary"], texts)
        if knobs["family"] == "blip2-t5":
            _close_texts(tokenizer)
        return Blip2Processor(BlipImageProcessorPil(size=square), tokenizer, num_query_tokens=knobs["query_tokens"])
    # Named for LLaVA's processor only: BLIP-2's finds its own way to the placeholder, and stumbles over a name.
    tokenizer = _train_tokenizer(knobs["vocabulary"], texts, extra_special_tokens={"image_token": "<image>"})
    return LlavaProcessor(
        LlavaImageProcessorPil(do_pad=True, size={"shortest_edge": size}, crop_size=square),
        tokenizer,
        patch_size=knobs["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # CLIP's class token, which the 'default' strategy drops again
    )


def _train_tokenizer(vocabulary: int, texts: Iterable[str], **named: Any) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    names = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL_TOKENS, strict=False))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **named)
    wrapped.clean_up_tokenization_spaces = False
    return wrapped


def _close_texts(tokenizer: PreTrainedTokenizerFast) -> None:
    """Have an end token put behind each text, as T5's own tokenizer does: what its encoder can tell the end of a prompt by."""
    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)])


def build_backbone(knobs: dict[str, Any], processor: ProcessorMixin, layers: int) -> Backbone:
    """A model of `layers` decoder layers with random weights from torch's generator."""
    config = configuration(knobs, len(processor.tokenizer), layers)
    kind = LlavaForConditionalGeneration if knobs["family"] == "llava" else Blip2ForConditionalGeneration
    # Eager attention trains faster than SDPA at this size on a CPU.
    model = kind._from_config(config, attn_implementation="eager")
    model.generation_config = GenerationConfig(**SPECIAL_IDS)
    if isinstance(model, Blip2ForConditionalGeneration):
        _anchor_queries(model)
    else:
        nn.init.normal_(model.model.vision_tower.embeddings.position_embedding.weight, std=PLACE_SPREAD)
    if knobs["family"] == "blip2-t5":
        _start_small(model.language_model)
    return FAMILIES[knobs["family"]](model, processor)


@torch.no_grad()
def _anchor_queries(model: Blip2ForConditionalGeneration) -> None:
    """Let query i begin by looking at patch i: it is that patch's position, and queries and keys are made alike.

    Queries that look everywhere alike specialise in words ('is there red?') and never learn which colour goes with which shape.
    """
    positions, queries = model.vision_model.embeddings.position_embedding, model.query_tokens
    nn.init.normal_(positions)
    nn.init.normal_(queries)
    anchored = min(queries.shape[1], positions.shape[1] - 1)
    queries[:, :anchored] = positions[:, 1 : 1 + anchored]
    for layer in model.qformer.encoder.layer:
        attention = layer.crossattention.attention
        nn.init.normal_(attention.key.weight, std=ANCHOR_SPREAD * attention.key.in_features**-0.5)
        attention.query.weight.copy_(attention.key.weight)


@torch.no_grad()
def _start_small(language: T5ForConditionalGeneration) -> None:
    """Begin T5 as small as transformers begins Llama and OPT.

    Its own beginning is made for Adafactor, whose steps are relative to the weights. With AdamW its embedding, fifty times
    as large as theirs, hardly moves, and the words that an image calls for are not learned well.
    """
    for module in language.modules():
        if isinstance(module, nn.Linear):
            module.weight.mul_(SMALL)
    nn.init.normal_(language.shared.weight, std=EMBEDDING_SPREAD)
    # The tied head scales down what it reads, which a small embedding cannot make up for.
    nn.init.constant_(language.decoder.final_layer_norm.weight, language.config.d_model**0.5)


def grow(backbone: Backbone, knobs: dict[str, Any], layers: int) -> Backbone:
    """About the same function in `layers` decoder layers, all of which are needed: more steps of less each.

    Each trained layer is followed by copies of itself that share what it adds, as if a residual network were an equation solved with
    smaller steps (Chang et al., arXiv 1710.10348). What that changes, further training mends. Copies that add nothing, as in block
    expansion, would be mended by none: a method that skips layers would skip them at no loss, and plain decoding run them for nothing.
    The first layer alone stays whole, with copies that add nothing yet: spread, too, it breaks what the model has learned.
    """
    if layers == len(backbone.layers):
        return backbone
    grown = build_backbone(knobs, backbone.processor, layers)
    copies = layers // len(backbone.layers)
    for old, new in zip(backbone.stacks(), grown.stacks(), strict=True):
        for index, layer in enumerate(new):
            # Not strict: of T5's blocks, only the first of a stack holds the position bias.
            layer.load_state_dict(old[index // copies].state_dict(), strict=False)
            _scale(grown.outputs(layer), 1 / copies if index >= copies else float(index == 0))
    _copy_all_but_layers(backbone, grown)
    return grown


@torch.no_grad()
def _scale(projections: Iterable[nn.Linear], share: float) -> None:
    for projection in projections:
        for parameter in projection.parameters():
            parameter.mul_(share)


def _copy_all_but_layers(old: Backbone, new: Backbone) -> None:
    inside = {id(tensor) for stack in old.stacks() for tensor in stack.state_dict(keep_vars=True).values()}
    state = old.model.state_dict(keep_vars=True)
    new.model.load_state_dict({name: tensor for name, tensor in state.items() if id(tensor) not in inside}, strict=False)
