"""Tiny random models of the real classes, and what tests want to do with them."""

from __future__ import annotations

import functools
import random
from collections.abc import Collection
from pathlib import Path

import torch

from fastvlm.data.example import Example, hash_pixels
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.scenes import draw, sample_scenes
from fastvlm.data.wording import caption
from fastvlm.decoding.drafters import Drafter, ExitDrafter, MlpImitation, TransformerImitation
from fastvlm.imitation.network import build_network
from fastvlm.models.load import load_target
from fastvlm.models.target import Prefix, Target
from fastvlm.models.zoo import build_backbone, build_processor

KNOBS = {
    "family": "llava", "vocabulary": 300, "image_size": 48, "patch_size": 16, "vision_layers": 1, "vision_hidden": 16,
    "hidden": 16, "intermediate": 32, "heads": 4,
}  # fmt: skip
QFORMER = {"query_tokens": 5, "qformer_layers": 1}
LAYERS = 5
FAMILIES = ("llava", "blip2-opt", "blip2-t5")


def examples(count: int, split: str = "test") -> list[Example]:
    """Drawn captions."""
    rng = random.Random(split)
    scenes = [scene for scene, _ in zip(sample_scenes(split, (1, 2), rng), range(count), strict=False)]
    return [
        Example(
            id=f"{split}-{index}",
            split=split,
            task="caption",
            prompt=TASK_PROMPTS["caption"],
            references=tuple(caption(scene, rng) for _ in range(5)),
            sha256=hash_pixels(draw(scene)),
            scene=scene.to_dict(),
        )
        for index, scene in enumerate(scenes)
    ]


def knobs(family: str) -> dict:
    """Those of the smallest trained model of a family."""
    return {**KNOBS, "family": family} | ({} if family == "llava" else QFORMER)


def save_checkpoint(
    folder: Path, family: str = "llava", *, layers: int = LAYERS, seed: int = 0, kv_heads: int = 4, idle: Collection[int] = ()
) -> Path:
    """A random model whose layers all matter, but for those that are `idle` and add nothing, in transformers' format."""
    torch.manual_seed(seed)
    processor = build_processor(knobs(family), [f" {text}" for example in examples(30) for text in example.references])
    backbone = build_backbone(knobs(family), processor, layers)
    model = backbone.model
    if kv_heads != 4:
        model.config.text_config.num_key_value_heads = kv_heads
        model = type(model)._from_config(model.config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.normal_(std=weight.shape[1] ** -0.5 * (0.3 if "embed" in name else 1))
            elif name.endswith("weight"):
                weight.uniform_(0.5, 1.5)
        for projection in (projection for layer in idle for projection in backbone.outputs(backbone.layers[layer])):
            for weight in projection.parameters():
                weight.zero_()
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def load(folder: Path, dtype: torch.dtype = torch.float64) -> Target:
    return load_target(folder, {"device": "cpu", "dtype": str(dtype).removeprefix("torch.")})


def drafter(target: Target, network: str, exit_layer: int, seed: int = 0) -> Drafter:
    """FastVLM's drafter with a random network: most drafts are wrong, which is what a lossless method must survive."""
    torch.manual_seed(seed)
    built = build_network(network, target.backbone.language.config).requires_grad_(False)
    built.to(target.decoder.device, target.decoder.dtype)
    if network == "mlp":
        torch.nn.init.normal_(built.layers[0].down.weight, std=0.1)
        return MlpImitation(exit_layer, built)
    return TransformerImitation(exit_layer, target.decoder.with_layers(built.layers))


class Parrot(ExitDrafter):
    """A drafter that knows the text by heart, but for the places where it lies: acceptance is chosen, not left to chance."""

    def __init__(self, exit_layer: int, target: Target, tokens: list[int], lies: set[int]):
        super().__init__(exit_layer)
        self._states = functools.partial(one_hot_state, target)
        self._tokens, self._lies, self._said = tokens, lies, 0

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        self._said = 1
        self._drafted = 0

    def guess(self, hidden: torch.Tensor) -> torch.Tensor:
        place = self._said + self._drafted
        self._drafted += 1
        token = self._tokens[place] if place < len(self._tokens) else self._tokens[-1]
        return self._states(self._other(token) if place in self._lies else token)

    def keep(self, states: torch.Tensor, accepted: int) -> None:
        self._said += accepted + 1
        self._drafted = 0

    def _other(self, token: int) -> int:
        return next(other for other in self._tokens + [5, 6] if other != token)


def one_hot_state(target: Target, token: int) -> torch.Tensor:
    """[1, hidden]: a state that norm and head turn into `token`, found by trying states around its row of the head."""
    row = target.decoder.head_weight[token]
    noise = torch.randn(4000, len(row), generator=torch.Generator().manual_seed(token), dtype=row.dtype)
    candidates = torch.cat((row[None], row / row.norm() + noise * torch.linspace(0, 1, len(noise)).to(row)[:, None]))
    hits = (target.decoder.head(candidates).argmax(-1) == token).nonzero()
    assert len(hits), f"no state found for token {token}"
    return candidates[hits[0]]
