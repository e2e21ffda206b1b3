"""The families by name."""

from __future__ import annotations

from fastvlm.models.backbone import Backbone
from fastvlm.models.blip2 import Blip2Opt, Blip2T5
from fastvlm.models.llava import Llava

FAMILIES: dict[str, type[Backbone]] = {family.family: family for family in (Llava, Blip2Opt, Blip2T5)}
