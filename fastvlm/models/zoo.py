"""The small models of the default experiment: transformers' own classes, own tokenizer and processor, trained here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import nn
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<image>")
PAD, BEGIN, END, IMAGE = range(len(SPECIAL_TOKENS))


def build_processor(knobs: dict[str, Any], texts: Iterable[str]) -> LlavaProcessor:
    """A `LlavaProcessor` whose byte-level BPE is trained on `texts`."""
    size, patch = knobs["image_size"], knobs["patch_size"]
    return LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size}),
        _train_tokenizer(knobs["vocabulary"], texts),
        patch_size=patch,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # CLIP's class token, which the 'default' strategy drops again
    )


def _train_tokenizer(vocabulary: int, texts: Iterable[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    names = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL_TOKENS, strict=False))
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, extra_special_tokens={"image_token": "<image>"}, **names)
    wrapped.clean_up_tokenization_spaces = False
    return wrapped


def build_model(knobs: dict[str, Any], vocabulary: int, layers: int) -> LlavaForConditionalGeneration:
    """A LLaVA of `layers` decoder layers with random weights from torch's generator."""
    vision = CLIPVisionConfig(
        image_size=knobs["image_size"],
        patch_size=knobs["patch_size"],
        hidden_size=knobs["vision_hidden"],
        intermediate_size=2 * knobs["vision_hidden"],
        num_hidden_layers=knobs["vision_layers"],
        num_attention_heads=knobs["heads"],
    )
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=knobs["hidden"],
        intermediate_size=knobs["intermediate"],
        num_hidden_layers=layers,
        num_attention_heads=knobs["heads"],
        num_key_value_heads=knobs["heads"],
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BEGIN,
        eos_token_id=END,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        image_seq_length=(knobs["image_size"] // knobs["patch_size"]) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )
    # Eager attention trains faster than SDPA at this size on a CPU.
    model = LlavaForConditionalGeneration._from_config(config, attn_implementation="eager")
    model.generation_config = GenerationConfig(pad_token_id=PAD, bos_token_id=BEGIN, eos_token_id=END)
    return model


def grow(model: LlavaForConditionalGeneration, knobs: dict[str, Any], layers: int) -> LlavaForConditionalGeneration:
    """The same function in `layers` decoder layers: each trained layer is followed by copies that add nothing yet.

    Block expansion as in LLaMA Pro (Wu et al., arXiv 2401.02415): a copy's two output projections start at zero. The new
    layers stand between the trained ones, not after them, so that further training really uses the depth.
    """
    old = model.model.language_model.layers
    if layers == len(old):
        return model
    grown = build_model(knobs, model.config.text_config.vocab_size, layers)
    grown.model.vision_tower, grown.model.multi_modal_projector = model.model.vision_tower, model.model.multi_modal_projector
    language, copies = grown.model.language_model, layers // len(old)
    language.embed_tokens.weight = grown.lm_head.weight = model.model.language_model.embed_tokens.weight
    language.norm = model.model.language_model.norm
    for index, layer in enumerate(language.layers):
        layer.load_state_dict(old[index // copies].state_dict())
        if index % copies:
            nn.init.zeros_(layer.self_attn.o_proj.weight)
            nn.init.zeros_(layer.mlp.down_proj.weight)
    return grown
