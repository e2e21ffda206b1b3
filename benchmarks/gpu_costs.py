"""`python -m benchmarks.gpu_costs`: what a token, a draft step and a verification cost on a GPU, at real checkpoints' sizes.

The weights are random: they cost what trained ones cost, but nothing can be said of how many drafts they would accept. So the
gain is given for acceptances that are supposed, and measured for an oracle, whose drafts are always right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    LlavaConfig,
    LlavaForConditionalGeneration,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    T5Config,
)

from fastvlm import cli
from fastvlm.decoding import contenders, reference
from fastvlm.decoding.choice import GREEDY
from fastvlm.decoding.drafters import ExitDrafter, TransformerImitation
from fastvlm.decoding.oracle import Oracle
from fastvlm.decoding.rounds import whole
from fastvlm.decoding.stopwatch import timed
from fastvlm.imitation.network import build_network
from fastvlm.metrics.cost_model import measure_prefix
from fastvlm.models.device import resolve_device, resolve_dtype
from fastvlm.models.families import FAMILIES
from fastvlm.models.target import Prefix, Target
from fastvlm.planning.shapes import read_shape
from fastvlm.provenance import machine
from fastvlm.rows import write_json

WORDS = 24  # of the prompt, beside the image's
LONGEST = 12
ACCEPTANCES = (0.6, 0.7, 0.8, 0.9)
EXIT_LAYERS = (1, 2, 4)
DRAFT_LENGTHS = (3, 6, 12)
SURE = 10.0  # spread of the embedding: layers as transformers begins them add less
COPIED = 2 * 10**9  # bytes, far more than any cache holds
WARMUP, REPEATS = 2, 7


def llava_7b() -> PreTrainedConfig:
    """transformers' defaults are LLaVA-1.5-7B's sizes, but for the vocabulary."""
    config = LlavaConfig()
    config.text_config.vocab_size = 32064
    return config


def blip2_opt() -> PreTrainedConfig:
    """BLIP-2 with OPT-2.7B."""
    text = OPTConfig(
        vocab_size=50304, hidden_size=2560, word_embed_proj_dim=2560, ffn_dim=10240, num_hidden_layers=32, num_attention_heads=32
    )
    return Blip2Config(text_config=text, image_token_index=4)


def blip2_t5() -> PreTrainedConfig:
    """BLIP-2 with Flan-T5-XL."""
    text = T5Config(
        vocab_size=32128, d_model=2048, d_kv=64, d_ff=5120, num_layers=24, num_heads=32,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0,
    )  # fmt: skip
    return Blip2Config(text_config=text, image_token_index=4)


MODELS = {"llava": llava_7b, "blip2-opt": blip2_opt, "blip2-t5": blip2_t5}


@torch.inference_mode()
def main(
    output: Annotated[Path, typer.Option(help="Where the measurements go, as JSON.")] = Path("results/gpu_costs.json"),
    tokens: Annotated[int, typer.Option(help="Of a text that is decoded.")] = 64,
    dtype: Annotated[str, typer.Option(help="Of the weights.")] = "bfloat16",
    device: Annotated[str, typer.Option(help="cuda, or cpu to try this out.")] = "cuda",
) -> None:
    on = resolve_device(device)
    measured = []
    for family in MODELS:
        measured.append(measure(random_target(family, resolve_dtype(dtype), on), tokens))
        print(describe(measured[-1]), flush=True)
        torch.cuda.empty_cache()  # of no effect where there is no GPU
    write_json(output, {"machine": machine(), "dtype": dtype, "models": measured})


def random_target(family: str, dtype: torch.dtype, device: torch.device) -> Target:
    """A model of the real sizes that is made where it stays: nothing is read."""
    kind = LlavaForConditionalGeneration if family == "llava" else Blip2ForConditionalGeneration
    torch.manual_seed(0)
    with device:
        model = kind._from_config(MODELS[family](), dtype=dtype).eval()
    backbone = FAMILIES[family](model, None)
    speak_surely(model)
    # The text ends where the limit is, here and in `generate`.
    model.generation_config.eos_token_id = None
    return replace(Target.of(backbone), end_tokens=frozenset())


@torch.no_grad()
def speak_surely(model: PreTrainedModel) -> None:
    """Have the model repeat itself. What random layers say is so close to other words that any rounding changes it, and no text would be
    the same twice; so the embedding outweighs them, and is the head as well."""
    table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    table.normal_(std=SURE)
    head.copy_(table)


def prompt(target: Target) -> dict[str, Tensor]:
    """An image of noise and some words."""
    config, device = target.backbone.model.config, target.decoder.device
    side = config.vision_config.image_size
    ids = [config.image_token_index] * read_shape(config, {}).image_tokens + list(range(10, 10 + WORDS))
    pixels = torch.randn(1, 3, side, side, device=device, dtype=target.decoder.dtype)
    return {"input_ids": torch.tensor([ids], device=device), "pixel_values": pixels}


def measure(target: Target, tokens: int) -> dict[str, Any]:
    """Seconds, each the median of some repeats."""
    decoder, device, inputs = target.decoder, target.decoder.device, prompt(target)
    seconds = partial(typical, device=device)
    prefix = target.prefill(inputs, tokens + LONGEST, EXIT_LAYERS)
    plain = partial(whole(contenders.plain(target, tokens).rounds), prefix, GREEDY)
    generate = partial(reference.generate, target, inputs)
    text, said = plain().tokens, generate(tokens).tokens
    list(oracles(target, prefix, text, 1.0))  # for nothing: a GPU loads a kernel when it first meets a length that wants it
    plain_seconds, later = seconds(plain), tokens - 1
    return {
        "family": target.backbone.family,
        "parameters": sum(weight.numel() for weight in target.backbone.model.parameters()),
        "bytes_a_token": sum(weight.nbytes for weight in target.backbone.layers.parameters()) + decoder.head_weight.nbytes,
        "bytes_per_second": bandwidth(device),
        "prompt_tokens": prefix.length,
        "prefill_seconds": seconds(partial(target.prefill, inputs, tokens)),
        "plain_seconds": plain_seconds / later,
        "generate_seconds": (seconds(partial(generate, tokens)) - seconds(partial(generate, 1))) / later,
        "same_as_generate": sum(ours == theirs for ours, theirs in zip(text, said, strict=True)) / tokens,
        "pass_seconds": [seconds(full_pass(target, count, prefix)) for count in range(1, LONGEST + 2)],
        "draft_seconds": draft_steps(target, prefix),
        "oracle": list(oracles(target, prefix, text, plain_seconds)),
    }


def full_pass(target: Target, tokens: int, prefix: Prefix) -> Callable[[], Tensor]:
    """All layers and the head over some tokens."""
    decoder = target.decoder
    embedded = decoder.embed(prefix.first.expand(tokens), prefix.length)
    return lambda: decoder.head(decoder.run(embedded, prefix.cache, prefix.length)).argmax(-1)


def draft_steps(target: Target, prefix: Prefix) -> dict[str, float]:
    """Of one draft, by the layer that it leaves the model at."""
    _, costs = measure_prefix(target, [imitation(target, exit_layer) for exit_layer in EXIT_LAYERS], prefix, LONGEST)
    return {str(exit_layer): of.step for exit_layer, of in zip(EXIT_LAYERS, costs, strict=True)}


def typical(act: Callable[[], object], device: torch.device) -> float:
    """Median seconds of an act after a warm-up."""
    for _ in range(WARMUP):
        act()
    return median(timed(act, device)[1] for _ in range(REPEATS))


def imitation(target: Target, exit_layer: int) -> ExitDrafter:
    """One decoder layer, random as well."""
    with target.decoder.device:
        network = build_network("transformer", target.backbone.language.config).to(target.decoder.dtype).requires_grad_(False)
    return TransformerImitation(exit_layer, target.decoder.with_layers(network.layers))


def oracles(target: Target, prefix: Prefix, text: list[int], plain_seconds: float) -> Iterator[dict[str, Any]]:
    """Gain of drafts that are always right, at the cost of FastVLM's."""
    for exit_layer in EXIT_LAYERS:
        oracle = Oracle(imitation(target, exit_layer))
        oracle.hear(text)
        for contender in contenders.groups(target, "oracle", [oracle], DRAFT_LENGTHS, [], len(text))[0]:
            act = partial(whole(contender.rounds), prefix, GREEDY)
            same = act().tokens == text
            gain = plain_seconds / typical(act, target.decoder.device)
            yield {"exit_layer": exit_layer, "draft_length": contender.draft_length, "speedup": gain, "same_text": same}


def bandwidth(device: torch.device) -> float:
    """Bytes read and written in a second by a large copy."""
    source = torch.ones(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED / typical(partial(target.copy_, source), device)


def expected(row: dict[str, Any], acceptance: float) -> tuple[float, str, int]:
    """(gain, exit layer, draft length) of the best setting, if each draft stood with this probability at the costs measured."""
    passes = row["pass_seconds"]
    return max(
        (sum(acceptance**place for place in range(length + 1)) * passes[0] / (length * step + passes[length]), exit_layer, length)
        for exit_layer, step in row["draft_seconds"].items()
        for length in range(1, LONGEST + 1)
    )


def describe(row: dict[str, Any]) -> str:
    floor = row["bytes_a_token"] / row["bytes_per_second"]
    oracle = max(row["oracle"], key=itemgetter("speedup"))
    return "\n".join(
        [
            f"{row['family']}, {row['parameters'] / 1e9:.2f} billion parameters",
            f"  image and prompt, {row['prompt_tokens']} tokens of the decoder: {_ms(row['prefill_seconds'])}",
            f"  a token: {_ms(row['plain_seconds'])}, by generate {_ms(row['generate_seconds'])} "
            f"(the same in {row['same_as_generate']:.0%}); its weights alone {_ms(floor)} at {row['bytes_per_second'] / 1e12:.2f} TB/s",
            f"  a pass over 1 to {LONGEST + 1} tokens: {' '.join(map(_ms, row['pass_seconds']))}",
            f"  a draft: {', '.join(f'{_ms(seconds)} at layer {layer}' for layer, seconds in row['draft_seconds'].items())}",
            f"  oracle: {oracle['speedup']:.2f} at layer {oracle['exit_layer']} with {oracle['draft_length']} drafts; "
            f"{sum(one['same_text'] for one in row['oracle'])} of {len(row['oracle'])} settings said plain decoding's text",
            *(_supposed(row, acceptance) for acceptance in ACCEPTANCES),
        ]
    )


def _supposed(row: dict[str, Any], acceptance: float) -> str:
    gain, exit_layer, length = expected(row, acceptance)
    return f"  if {acceptance:.0%} of drafts stood: {gain:.2f} at layer {exit_layer} with {length} drafts"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


if __name__ == "__main__":
    cli.main(partial(typer.run, main))
