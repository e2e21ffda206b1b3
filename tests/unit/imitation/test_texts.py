"""What a model says of many pictures at once, with prompts of many lengths, is what it says of each alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from fastvlm.data.example import Dialogue, write_manifest
from fastvlm.decoding import autoregressive
from fastvlm.imitation.texts import generate_texts
from tests import tiny

KNOBS = {"device": "cpu", "dtype": "float32", "threads": 1, "examples": 10, "generation_batch": 5, "max_new_tokens": [8]}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_padding_changes_no_text(tmp_path, family):
    folder = tiny.save_checkpoint(tmp_path / "model", family)
    said = [Dialogue("A picture.", (("Is there a star?", "Yes."),) * rounds) for rounds in range(4)]
    asked = [replace(example, dialogue=said[index % 4]) for index, example in enumerate(tiny.examples(10, "train"))]
    write_manifest(tmp_path / "data.jsonl", asked)
    generate_texts(KNOBS, folder, [tmp_path / "data.jsonl"], tmp_path / "texts.jsonl")
    texts = {row["id"]: row["tokens"] for row in map(json.loads, (tmp_path / "texts.jsonl").read_text().splitlines())}
    single = tiny.load(folder, torch.float32)
    for example in asked:
        with torch.no_grad():
            prefix = single.prefill(single.prepare(example), 8)
            expected = autoregressive.decode(single.decoder, prefix, limit=8, end_tokens=single.end_tokens).tokens
        assert texts[example.id] == expected
