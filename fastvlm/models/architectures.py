"""The shapes of the small models of the default experiment, as transformers' own configurations."""

from __future__ import annotations

from typing import Any

from transformers import (
    Blip2Config,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    OPTConfig,
    PreTrainedConfig,
    T5Config,
)

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<image>")
PAD, BEGIN, END, IMAGE = range(len(SPECIAL_TOKENS))
SPECIAL_IDS = {"pad_token_id": PAD, "bos_token_id": BEGIN, "eos_token_id": END}
MOST_POSITIONS = 1024


def configuration(knobs: dict[str, Any], vocabulary: int, layers: int) -> PreTrainedConfig:
    """That of the knobs' `family`, with so many decoder layers."""
    make = {"llava": llava, "blip2-opt": blip2_opt, "blip2-t5": blip2_t5}[knobs["family"]]
    return make(knobs, vocabulary, layers)


def llava(knobs: dict[str, Any], vocabulary: int, layers: int) -> LlavaConfig:
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=knobs["hidden"],
        intermediate_size=knobs["intermediate"],
        num_hidden_layers=layers,
        num_attention_heads=knobs["heads"],
        num_key_value_heads=knobs["heads"],
        max_position_embeddings=MOST_POSITIONS,
        tie_word_embeddings=True,
        **SPECIAL_IDS,
    )
    return LlavaConfig(
        vision_config=CLIPVisionConfig(**_vision(knobs)),
        text_config=text,
        image_token_index=IMAGE,
        image_seq_length=(knobs["image_size"] // knobs["patch_size"]) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
    )


def blip2_opt(knobs: dict[str, Any], vocabulary: int, layers: int) -> Blip2Config:
    text = OPTConfig(
        vocab_size=vocabulary,
        hidden_size=knobs["hidden"],
        word_embed_proj_dim=knobs["hidden"],
        ffn_dim=knobs["intermediate"],
        num_hidden_layers=layers,
        num_attention_heads=knobs["heads"],
        max_position_embeddings=MOST_POSITIONS,
        dropout=0.0,
        **SPECIAL_IDS,
    )
    return _blip2(knobs, text)


def blip2_t5(knobs: dict[str, Any], vocabulary: int, layers: int) -> Blip2Config:
    """The encoder is as deep as the decoder: transformers makes the decoder's cache as deep as the encoder."""
    text = T5Config(
        vocab_size=vocabulary,
        d_model=knobs["hidden"],
        d_kv=knobs["hidden"] // knobs["heads"],
        d_ff=knobs["intermediate"],
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=knobs["heads"],
        dropout_rate=0.0,
        feed_forward_proj="gated-gelu_pytorch_tanh",  # the function of Flan-T5's gated-gelu, in one operation
        decoder_start_token_id=PAD,
        **SPECIAL_IDS,
    )
    return _blip2(knobs, text)


def _blip2(knobs: dict[str, Any], text: PreTrainedConfig) -> Blip2Config:
    qformer = Blip2QFormerConfig(
        # As wide as the vision tower, so that a query can begin as a position of it.
        hidden_size=knobs["vision_hidden"],
        intermediate_size=2 * knobs["vision_hidden"],
        num_hidden_layers=knobs["qformer_layers"],
        num_attention_heads=knobs["heads"],
        encoder_hidden_size=knobs["vision_hidden"],
        cross_attention_frequency=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return Blip2Config(
        # The published models' vision tower comes trained, and its configuration begins at weights of zero.
        vision_config=Blip2VisionConfig(**_vision(knobs), initializer_range=0.02),
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=knobs["query_tokens"],
        image_token_index=IMAGE,
    )


def _vision(knobs: dict[str, Any]) -> dict[str, int]:
    return {
        "image_size": knobs["image_size"],
        "patch_size": knobs["patch_size"],
        "hidden_size": knobs["vision_hidden"],
        "intermediate_size": 2 * knobs["vision_hidden"],
        "num_hidden_layers": knobs["vision_layers"],
        "num_attention_heads": knobs["heads"],
    }
