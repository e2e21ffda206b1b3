"""A model as memory and time see it: its sizes, and where its parameters sit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

# Where a tensor belongs, by a piece of its name; the first that fits counts. The names are transformers' own.
PIECES = {
    "head": ("lm_head",),
    "qformer": ("qformer.", "query_tokens"),
    "vision": ("vision_tower.", "vision_model.", "multi_modal_projector.", "language_projection."),
    "embeddings": ("embed_tokens.", "embed_positions.", "language_model.shared."),
    "encoder": ("language_model.encoder.",),
    "decoder": ("language_model.",),
}
LAYERS = {"llava": "num_hidden_layers", "blip2-opt": "num_hidden_layers", "blip2-t5": "num_decoder_layers"}


@dataclass(frozen=True)
class Parameters:
    """Parameters by part, count: `vision` with the projection, T5's `encoder`, `decoder` layers with the final norm,
    `embeddings` of tokens and positions, and the LM `head`, 0 where it is the token embedding itself."""

    vision: int
    qformer: int
    encoder: int
    decoder: int
    embeddings: int
    head: int

    @property
    def total(self) -> int:
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Shape:
    """`family` is llava, blip2-opt or blip2-t5; `image_tokens` are those of one image in the prompt."""

    family: str
    decoder_layers: int
    hidden: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    image_tokens: int
    parameters: Parameters

    @property
    def parameters_of_a_step(self) -> int:
        """What is read from memory for one token: the decoder's layers and the head, be it tied or not."""
        return self.parameters.decoder + self.vocabulary * self.hidden


def count_parameters(sizes: Mapping[str, int], *, tied: bool) -> Parameters:
    """Parameters by part from each tensor's name and number of elements; a `tied` head that a file repeats counts once."""
    parts = dict.fromkeys(PIECES, 0)
    for name, size in sizes.items():
        part = next((part for part, pieces in PIECES.items() if any(piece in name for piece in pieces)), "decoder")
        parts[part] += size
    return Parameters(**parts | ({"head": 0} if tied else {}))


def read_shape(config: Any, sizes: Mapping[str, int]) -> Shape:
    """The shape of a transformers config of one of the three families; `sizes` are its tensors' numbers of elements by name."""
    text = config.text_config
    family = "llava" if config.model_type == "llava" else f"blip2-{text.model_type}"
    head_dim = text.d_kv if family == "blip2-t5" else getattr(text, "head_dim", None)
    return Shape(
        family=family,
        decoder_layers=getattr(text, LAYERS[family]),
        hidden=text.hidden_size,
        kv_heads=text.num_key_value_heads if family == "llava" else text.num_attention_heads,
        head_dim=head_dim or text.hidden_size // text.num_attention_heads,
        vocabulary=text.vocab_size,
        image_tokens=_image_tokens(config),
        # T5's config says tied whatever the file holds; a tied T5 has no tensor of that name.
        parameters=count_parameters(sizes, tied=text.tie_word_embeddings and family != "blip2-t5"),
    )


def _image_tokens(config: Any) -> int:
    if config.model_type == "blip-2":
        return config.num_query_tokens
    patches = (config.vision_config.image_size // config.vision_config.patch_size) ** 2
    return patches + (config.vision_feature_select_strategy == "full")
