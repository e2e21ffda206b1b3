"""Bytes of memory that a stage needs at its peak, from a model's shape. Estimates that err upward, none of them measured."""

from __future__ import annotations

from dataclasses import dataclass

from fastvlm.planning.shapes import Shape

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8}
HEADROOM = 1.15  # of the weights: what loading and deciding may hold beside them
BASE_BYTES = 600_000_000  # Python, torch and the activations of one sequence
PROMPT_WORDS = 64  # tokens of a prompt's text; those of this project's tasks have fewer
TRAINING_COPIES = 4  # float32 weights, their gradients and AdamW's two moments
LOGITS_COPIES = 4  # of both distributions in the loss: logits and log-probabilities
WIDEST = 8  # values of a token at once in a layer's feed-forward, in units of the hidden size


@dataclass(frozen=True)
class Lesson:
    """A distillation: texts, the tokens of all of them and of the longest, texts a step, and texts that are read at once."""

    texts: int
    spoken: int
    longest: int
    batch: int
    read_at_once: int


def weights_bytes(shape: Shape, dtype: str) -> int:
    """transformers keeps a Q-Former in float32 where the rest is float16."""
    extra = shape.parameters.qformer * (4 - BYTES[dtype]) if dtype == "float16" else 0
    return shape.parameters.total * BYTES[dtype] + extra


def cache_bytes_a_token(shape: Shape, dtype: str) -> int:
    """Keys and values of all decoder layers. A T5 keeps those of a prompt's token for cross-attention: as many."""
    return 2 * shape.decoder_layers * shape.kv_heads * shape.head_dim * BYTES[dtype]


def network_parameters(shape: Shape, kind: str) -> int:
    """Of an imitation network: a decoder layer of the model, or an MLP that is four times as wide inside."""
    if kind == "transformer":
        return shape.parameters.decoder // shape.decoder_layers
    return 8 * shape.hidden**2 + shape.hidden


def prompt_tokens(shape: Shape) -> int:
    return shape.image_tokens + PROMPT_WORDS


def load_bytes(shape: Shape, dtype: str) -> int:
    """A model in memory and nothing decoded yet."""
    return round(HEADROOM * weights_bytes(shape, dtype)) + BASE_BYTES


def decode_bytes(shape: Shape, dtype: str, *, new_tokens: int, networks: int, caches: int = 2) -> int:
    """Decoding one sequence, with so many caches, as of plain decoding and of `generate`, and imitation networks of so many parameters.

    `new_tokens` are those of the text and of one draft beyond its end.
    """
    kept = caches * cache_bytes_a_token(shape, dtype) * (prompt_tokens(shape) + new_tokens)
    return load_bytes(shape, dtype) + kept + networks * BYTES[dtype]


def texts_bytes(shape: Shape, dtype: str, *, new_tokens: int, batch: int) -> int:
    """Generating the texts of a batch of images at once."""
    caches = batch * cache_bytes_a_token(shape, dtype) * (prompt_tokens(shape) + new_tokens)
    return load_bytes(shape, dtype) + caches + reading_bytes(shape, dtype, batch * prompt_tokens(shape))


def distill_bytes(shape: Shape, dtype: str, lesson: Lesson, *, network: int) -> int:
    """Training a network of so many parameters beside the frozen model, with the states of all texts kept."""
    states = (lesson.texts * prompt_tokens(shape) + 2 * lesson.spoken) * shape.hidden * BYTES[dtype]
    reading = reading_bytes(shape, dtype, lesson.read_at_once * (prompt_tokens(shape) + lesson.longest))
    logits = max(LOGITS_COPIES * lesson.batch, 2 * lesson.read_at_once) * lesson.longest * shape.vocabulary * 4
    return load_bytes(shape, dtype) + network * 4 * TRAINING_COPIES + states + max(reading, logits)


def search_bytes(shape: Shape, dtype: str, *, texts: int, longest: int) -> int:
    """Searching what to skip on so many texts, each of which is kept in a cache that has room to read it twice."""
    return load_bytes(shape, dtype) + texts * cache_bytes_a_token(shape, dtype) * (prompt_tokens(shape) + 2 * longest)


def finetune_bytes(shape: Shape, dtype: str, *, learned: int, tokens: int, exits: int) -> int:
    """Fine-tuning so many float32 weights: each layer keeps what its gradient needs of a step's tokens, `exits` of them speak."""
    kept = 2 * shape.decoder_layers * reading_bytes(shape, dtype, tokens)
    return load_bytes(shape, dtype) + learned * 4 * TRAINING_COPIES + kept + 2 * exits * tokens * shape.vocabulary * 4


def adapter_parameters(shape: Shape, rank: int) -> int:
    """Of adapters in the decoder's layers: a map of n x m gets rank * (n + m), about rank * 2 * n * m / hidden."""
    return 2 * rank * shape.parameters.decoder // shape.hidden


def reading_bytes(shape: Shape, dtype: str, tokens: int) -> int:
    """What a layer holds while the model reads so many tokens at once."""
    return tokens * WIDEST * shape.hidden * BYTES[dtype]
