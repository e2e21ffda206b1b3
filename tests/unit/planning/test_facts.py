"""The facts of the paper's checkpoints agree with transformers' classes and with the bytes of their files."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2QFormerConfig,
    Blip2VisionConfig,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    OPTConfig,
    T5Config,
)

from fastvlm.config import load_config
from fastvlm.planning.facts import known_checkpoints
from fastvlm.planning.shapes import read_shape
from tests.workspace import PROJECT

KNOWN = known_checkpoints()
BYTES = {"float32": 4, "float16": 2}


def opt(sizes):
    return OPTConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        word_embed_proj_dim=sizes["hidden"],
        ffn_dim=sizes["intermediate"],
        num_hidden_layers=sizes["decoder_layers"],
        num_attention_heads=sizes["heads"],
    )


def t5(sizes):
    return T5Config(
        vocab_size=sizes["vocabulary"],
        d_model=sizes["hidden"],
        d_kv=sizes["head_dim"],
        d_ff=sizes["intermediate"],
        num_layers=sizes["encoder_layers"],
        num_decoder_layers=sizes["decoder_layers"],
        num_heads=sizes["heads"],
        feed_forward_proj="gated-gelu",
    )


def blip2(sizes):
    """ViT-g and the Q-Former are transformers' defaults."""
    text = (t5 if sizes["family"] == "blip2-t5" else opt)(sizes)
    vision, qformer = Blip2VisionConfig(image_size=sizes["image_size"]), Blip2QFormerConfig(encoder_hidden_size=1408)
    return Blip2ForConditionalGeneration, Blip2Config(vision_config=vision, qformer_config=qformer, text_config=text)


def llava(sizes):
    """The vision tower is CLIP's ViT-L/14."""
    vision = CLIPVisionConfig(
        image_size=sizes["image_size"],
        patch_size=14,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
    )
    text = LlamaConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        intermediate_size=sizes["intermediate"],
        num_hidden_layers=sizes["decoder_layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["kv_heads"],
    )
    return LlavaForConditionalGeneration, LlavaConfig(vision_config=vision, text_config=text)


@pytest.mark.parametrize("identity", KNOWN)
def test_transformers_counts_the_same_parameters(identity):
    sizes = KNOWN[identity].sizes
    model_class, config = (llava if sizes["family"] == "llava" else blip2)(sizes)
    with torch.device("meta"):
        model = model_class._from_config(config)
    counted = {name: weight.numel() for name, weight in model.named_parameters()}
    if sizes["family"] == "blip2-t5":  # a new T5 has its head tied; Flan-T5 came with one of its own
        counted["language_model.lm_head.weight"] = model.language_model.lm_head.weight.numel()
    assert read_shape(model.config, counted) == KNOWN[identity].shape


@pytest.mark.parametrize("identity", KNOWN)
def test_the_files_hold_the_parameters(identity):
    facts = KNOWN[identity]
    shape, size = facts.shape, BYTES[facts.sizes["dtype"]]
    once = shape.parameters.total * size
    head_again = 0 if shape.parameters.head else shape.vocabulary * shape.hidden * size
    # The hub shows three figures of each file.
    assert min(abs(facts.download_bytes - once), abs(facts.download_bytes - once - head_again)) < 0.02e9


def test_the_eight_checkpoints_of_the_paper_are_known():
    models = load_config(PROJECT / "config/paper.yaml").models.values()
    assert {model.id for model in models} == set(KNOWN)
    assert len(KNOWN) == 8
    assert all(facts.confidence for facts in KNOWN.values())
