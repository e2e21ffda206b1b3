"""Published checkpoints run as their authors ran them, and the log says what was changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, CLIPImageProcessorPil

from fastvlm.models.checkpoint import check_processor
from fastvlm.models.repair import repair
from fastvlm.models.weights import load_model
from tests import tiny


def load(folder, family):
    tiny.save_checkpoint(folder, family)
    return load_model(folder, torch.float32), AutoProcessor.from_pretrained(folder)


def published_as_llava(processor) -> None:
    """As the repositories of LLaVA-1.5 have it: CLIP's processor, which cuts the sides off."""
    own = processor.image_processor
    processor.image_processor = CLIPImageProcessorPil(size=own.size, crop_size=own.crop_size, image_mean=[0.5, 0.25, 0.0])


@pytest.mark.parametrize("family", ["blip2-opt", "blip2-t5"])
def test_a_blip2_from_before_the_placeholder(tmp_path, caplog, family):
    model, processor = load(tmp_path, family)
    picture = Image.new("RGB", (60, 40), "red")
    expected = processor(images=picture, text="a photo of", return_tensors="pt")["input_ids"]
    model.config.image_token_index = processor.num_query_tokens = None
    repair(model, processor)
    assert model.config.image_token_index == model.config.image_token_id == 3
    assert processor(images=picture, text="a photo of", return_tensors="pt")["input_ids"].equal(expected)
    assert [record.message for record in caplog.records] == [
        "repaired: config.json names no image_token_index; <image> is token 3",
        "repaired: the processor names no num_query_tokens; a picture is 5 tokens",
    ]
    check_processor(tmp_path, model, processor)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_what_is_whole_is_left_alone(tmp_path, caplog, family):
    model, processor = load(tmp_path, family)
    pictures = processor.image_processor
    repair(model, processor)
    assert processor.image_processor is pictures
    assert not caplog.records


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (48, 48)])
def test_llava_pads_to_squares_of_the_mean_colour(tmp_path, caplog, size):
    model, processor = load(tmp_path, "llava")
    published_as_llava(processor)
    published = processor.image_processor
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    square = Image.new("RGB", (max(size), max(size)), (127, 63, 0))  # what the authors' expand2square does
    square.paste(picture, ((max(size) - size[0]) // 2, (max(size) - size[1]) // 2))
    expected = published(square, return_tensors="pt")["pixel_values"]
    repair(model, processor)
    found = processor(images=picture, text="<image>", return_tensors="pt")["pixel_values"]
    assert found.equal(expected)
    assert [record.message for record in caplog.records] == [
        "repaired: pictures are padded to squares, as LLaVA-1.5's authors do, not cropped as CLIPImageProcessorPil does"
    ]
    check_processor(tmp_path, model, processor)
