"""Shapes of models that are here: from knobs, and from the headers of a folder's files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from fastvlm.errors import UserError
from fastvlm.models.architectures import configuration
from fastvlm.planning.sources import find_source
from fastvlm.rows import write_json
from tests.unit.planning.experiment import SMOKE, experiment

SIZES = SMOKE["models"]["llava-tiny"]
QUERIES = {"query_tokens": 6, "qformer_layers": 1}
FAMILIES = {"llava": {}, "blip2-opt": QUERIES, "blip2-t5": QUERIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_model_is_the_folder_that_it_becomes(family, tmp_path):
    knobs = SIZES | FAMILIES[family] | {"family": family}
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(configuration(knobs, knobs["vocabulary"], knobs["layers"]))
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    config = experiment(models={"trained": knobs, "folder": {"source": "folder", "path": str(tmp_path)}})
    trained, folder = (find_source(config, name, tmp_path, ask_hub=False) for name in config.models)
    assert trained.shape == folder.shape
    assert trained.shape.family == family
    assert trained.shape.parameters.total == sum(weight.numel() for weight in model.parameters())
    assert (trained.shape.decoder_layers, trained.shape.hidden, trained.shape.head_dim) == (4, 32, 16)
    assert trained.shape.image_tokens == (9 if family == "llava" else 6)
    assert trained.download_bytes == folder.download_bytes == 0


def test_parts_of_a_small_opt():
    knobs = SIZES | QUERIES | {"family": "blip2-opt"}
    parts = find_source(experiment(models={"trained": knobs}), "trained", Path("absent"), ask_hub=False).shape.parameters
    attention, feed_forward, norms = 4 * (32 * 32 + 32), 2 * 32 * 64 + 64 + 32, 2 * 2 * 32
    assert parts.decoder == 4 * (attention + feed_forward + norms) + 2 * 32
    assert parts.embeddings == 400 * 32 + (1024 + 2) * 32
    assert (parts.encoder, parts.head) == (0, 0)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    config = experiment(models={"folder": {"source": "folder", "path": str(tmp_path)}})
    with pytest.raises(UserError, match=r"no config\.json; expected the folder of a checkpoint"):
        find_source(config, "folder", tmp_path, ask_hub=False)


def test_what_was_fetched_into_a_cache_that_was_emptied_is_downloaded_again(tmp_path):
    source = {"id": "llava-hf/llava-1.5-7b-hf", "commit": "a" * 40, "files": {"config.json": 1}}
    write_json(tmp_path / "models/known/source.json", source)
    assert find_source(experiment(), "known", tmp_path, ask_hub=False).download_bytes == 14_130_000_000
