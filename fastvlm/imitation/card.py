"""The card beside a network's weights, for tables that show what it says and load no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text())
