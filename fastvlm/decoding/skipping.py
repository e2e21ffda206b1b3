"""Draft & Verify (Zhang et al., arXiv 2309.08168): the drafter is the model itself without some of its sublayers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from fastvlm.decoding.drafters import Bounds, ExitDrafter
from fastvlm.errors import UserError
from fastvlm.imitation.store import refuse_other_backbone
from fastvlm.models.cache import KeyValueCache
from fastvlm.models.decoder import Decoder
from fastvlm.models.target import Prefix, Target


class SkipDrafter(ExitDrafter):
    """Drafts with `thinner`, a `Decoder.without`, in the cache of the decoder that verifies.

    It leaves the model nowhere: what it hands over are the embedded tokens, at layer 0. The pass of the full model runs all layers over
    them and writes all keys and values anew, those that a thinner layer wrote and those that a skipped one did not.
    """

    def __init__(self, thinner: Decoder):
        super().__init__(exit_layer=0)
        self.thinner = thinner

    def start(self, prefix: Prefix, new_tokens: int) -> None:
        self._cache, self._place = prefix.cache, prefix.length

    def draft(self, decoder: Decoder, cache: KeyValueCache, text: Sequence[int], token: Tensor, bounds: Bounds) -> tuple[Tensor, Tensor]:
        self._place = cache.length
        return super().draft(decoder, cache, text, token, bounds)

    def guess(self, hidden: Tensor) -> Tensor:
        guessed = self.thinner.run(hidden, self._cache, self._place)
        self._place += 1
        return guessed


def load_skips(path: Path, target: Target, model: Path) -> SkipDrafter:
    """The drafter that the search stage found; raises `UserError` if it was found for another backbone or dtype."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected what the search stage writes")
    found = json.loads(path.read_text())
    refuse_other_backbone(path, found, target, model, "searched")
    return SkipDrafter(target.decoder.without(found["attention"], found["feed_forward"]))
