"""Load a checkpoint, decode from it, and print what that took of memory, as JSON: one process, one measurement.

The peak is VmHWM, not `ru_maxrss`: a process inherits the latter from the one that started it.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

import torch

from fastvlm.data.example import Example, hash_pixels
from fastvlm.data.prompts import TASK_PROMPTS
from fastvlm.data.scenes import draw, sample_scenes
from fastvlm.decoding.autoregressive import decode
from fastvlm.models.load import load_target

NEW_TOKENS = 8


@torch.inference_mode()
def measure(folder: Path, dtype: str) -> dict[str, int]:
    """Bytes: of the weights as loaded, of the cache, resident after the imports, at the peak, and of each kind at the end."""
    imports = resident()["VmHWM"]
    target = load_target(folder, {"device": "cpu", "dtype": dtype})
    prefix = target.prefill(target.prepare(an_example()), NEW_TOKENS)
    decode(target.decoder, prefix, limit=NEW_TOKENS, end_tokens=())
    now = resident()
    return {
        "checkpoint_bytes": sum(weight.nbytes for weight in target.backbone.model.parameters()),
        "cache_bytes": sum(layer.nbytes for layer in prefix.cache.layers),
        "import_bytes": imports,
        "peak_bytes": now["VmHWM"],
        "anonymous_bytes": now["RssAnon"],
        "mapped_bytes": now["RssFile"],
    }


def resident() -> dict[str, int]:
    """Of this process: the peak of all, and what is anonymous and what are pages of files now, in bytes."""
    lines = re.findall(r"^(VmHWM|RssAnon|RssFile):\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return {name: int(kilobytes) * 1024 for name, kilobytes in lines}


def an_example() -> Example:
    scene = next(sample_scenes("test", (1,), random.Random(0)))
    picture = {"sha256": hash_pixels(draw(scene)), "scene": scene.to_dict()}
    return Example(id="test-0", split="test", task="caption", prompt=TASK_PROMPTS["caption"], references=(), **picture)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
