"""Checkpoints as they are published -> as their authors run them. Each repair says so in one line of the log."""

from __future__ import annotations

import logging

from transformers import LlavaImageProcessorPil, PreTrainedModel, ProcessorMixin

LOG = logging.getLogger(__name__)
KEPT = (  # of an image processor that is replaced
    "size", "crop_size", "resample", "rescale_factor", "image_mean", "image_std",
    "do_convert_rgb", "do_resize", "do_rescale", "do_normalize", "do_center_crop",
)  # fmt: skip


def repair(model: PreTrainedModel, processor: ProcessorMixin) -> None:
    """Change both in place where needed; a checkpoint that needs nothing is left as it is."""
    if model.config.model_type == "blip-2":
        _place_image_tokens(model, processor)
    elif type(processor.image_processor).__name__.startswith("CLIPImageProcessor"):
        _pad_to_square(processor)


def _place_image_tokens(model: PreTrainedModel, processor: ProcessorMixin) -> None:
    """BLIP-2 repositories from before the placeholder <image> do not say which token it is, nor how many stand for a picture."""
    if model.config.image_token_index is None:
        # The processor gave <image> the first free id; rows of the embedding beyond the vocabulary are padding.
        model.config.image_token_index = processor.tokenizer.convert_tokens_to_ids("<image>")
        LOG.warning("repaired: config.json names no image_token_index; <image> is token %d", model.config.image_token_index)
    if processor.num_query_tokens is None:
        processor.num_query_tokens = model.config.num_query_tokens
        LOG.warning("repaired: the processor names no num_query_tokens; a picture is %d tokens", processor.num_query_tokens)


def _pad_to_square(processor: ProcessorMixin) -> None:
    """LLaVA-1.5 was trained on pictures padded to squares; its repositories cut the sides off (CLIP's centre crop)."""
    published = processor.image_processor
    settings = {name: getattr(published, name) for name in KEPT}
    processor.image_processor = LlavaImageProcessorPil(do_pad=True, **settings)
    LOG.warning("repaired: pictures are padded to squares, as LLaVA-1.5's authors do, not cropped as %s does", type(published).__name__)
