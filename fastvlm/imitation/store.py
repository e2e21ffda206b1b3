"""An imitation network on disk: its weights, and a card that says which backbone and exit layer it belongs to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import nn

from fastvlm.decoding.drafters import Drafter, MlpImitation, TransformerImitation
from fastvlm.errors import UserError
from fastvlm.imitation.card import read_card
from fastvlm.imitation.network import TransformerNetwork, build_network
from fastvlm.models.checkpoint import checkpoint_folder, content_digest, weight_files
from fastvlm.models.target import Target
from fastvlm.rows import whole_file, write_json


def fingerprint(model: Path) -> str:
    """Which checkpoint this is: SHA-256 of its config and of its weights files' contents, all of them, as fine-tuning may leave
    the first and the last layers as they were."""
    folder = checkpoint_folder(model)
    named = [f"{path.name} {content_digest(path)}" for path in (folder / "config.json", *weight_files(folder))]
    return hashlib.sha256("\n".join(named).encode()).hexdigest()


def save_network(folder: Path, network: nn.Module, card: dict[str, Any]) -> None:
    """Write `network.safetensors`, then `card.json`."""
    with whole_file(folder / "network.safetensors") as path:
        save_file(network.state_dict(), path)
    write_json(folder / "card.json", card)


def load_drafter(folder: Path, target: Target, model: Path) -> Drafter:
    """The drafter of a distilled network; raises `UserError` if it was distilled for another backbone or dtype."""
    card = read_card(folder)
    refuse_other_backbone(folder, card, target, model, "distilled")
    config = target.backbone.language.config
    network = build_network(card["network"], config, layers=card["layers"])
    network.load_state_dict(load_file(folder / "network.safetensors"))
    network.to(target.decoder.device, target.decoder.dtype).eval().requires_grad_(False)
    if isinstance(network, TransformerNetwork):
        return TransformerImitation(card["exit_layer"], target.decoder.with_layers(network.layers))
    return MlpImitation(card["exit_layer"], network)


def refuse_other_backbone(path: Path, card: dict[str, Any], target: Target, model: Path, made: str) -> None:
    """Raise `UserError` where what was `made` for a backbone, as its card says, meets another backbone or dtype."""
    dtype = str(target.decoder.dtype).removeprefix("torch.")
    for what, whose, expected in (("backbone", f"that of {model}", fingerprint(model)), ("dtype", "the decoder's", dtype)):
        if card[what] != expected:
            raise UserError(f"{path}: {made} for {what} {card[what][:12]}; expected {whose}, {expected[:12]}; run that stage again")
