"""What `load_model` must share with `from_pretrained`, and the one thing in which it must differ: what stays in memory."""

from __future__ import annotations

import gc
import json
import re
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Blip2ForConditionalGeneration, GenerationConfig, LlavaForConditionalGeneration, PreTrainedModel

from fastvlm.errors import UserError
from fastvlm.models.architectures import IMAGE, configuration
from fastvlm.models.weights import load_model
from tests import tiny

LAYERS, VOCABULARY = 2, 50
UNTIED = ("llava-untied", "blip2-t5-untied")  # as LLaVA-1.5, and as Flan-T5, whose config transformers always reads as tied


def build(name: str) -> PreTrainedModel:
    """Tiny and random, of a family or of one of those that have a head of their own."""
    family = name.removesuffix("-untied")
    config = configuration(tiny.knobs(family), VOCABULARY, LAYERS)
    if name == "llava-untied":
        config.text_config.tie_word_embeddings = config.tie_word_embeddings = False
    model = (LlavaForConditionalGeneration if family == "llava" else Blip2ForConditionalGeneration)(config)
    if name in UNTIED:
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(torch.randn_like(head.weight))
    return model


@pytest.fixture(scope="module", params=(*tiny.FAMILIES, *UNTIED))
def folder(request, tmp_path_factory):
    """A tiny random checkpoint of each class, in several files, with an end of text that config.json does not name."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp(request.param)
    model = build(request.param)
    model.generation_config = GenerationConfig(eos_token_id=[7, 9], pad_token_id=1)
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.fixture
def whole(tmp_path):
    """A tiny LLaVA in one file."""
    build("llava-untied").save_pretrained(tmp_path)
    return tmp_path


def from_pretrained(folder: Path, dtype: torch.dtype):
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    return getattr(transformers, architecture).from_pretrained(folder, dtype=dtype)


def answer(model: PreTrainedModel) -> torch.Tensor:
    tokens = getattr(model.config, "num_query_tokens", None) or model.config.image_seq_length
    inputs = {"input_ids": torch.tensor([[IMAGE] * tokens + [5, 6]]), "pixel_values": torch.ones(1, 3, 48, 48, dtype=model.dtype)}
    if model.config.text_config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[0, 8]])
    return model(**inputs).logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_model_is_the_one_that_from_pretrained_loads(folder, dtype):
    loaded, expected = load_model(folder, dtype), from_pretrained(folder, dtype)
    states, expected_states = loaded.state_dict(), expected.state_dict()
    assert states.keys() == expected_states.keys()
    assert all(states[name].dtype == value.dtype and torch.equal(states[name], value) for name, value in expected_states.items())
    buffers = dict(loaded.named_buffers())
    assert all(torch.equal(buffers[name], value) for name, value in expected.named_buffers())
    assert loaded.generation_config.to_dict() == expected.generation_config.to_dict()
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())
    assert torch.equal(answer(loaded), answer(expected))


def test_tied_weights_are_one(folder):
    model = load_model(folder, torch.float32)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == (not folder.name.startswith(UNTIED))


def test_float16_keeps_the_query_tokens_in_float32(tmp_path):
    build("blip2-opt").save_pretrained(tmp_path)
    model = load_model(tmp_path, torch.float16)
    assert model.query_tokens.dtype == torch.float32
    assert model.get_output_embeddings().weight.dtype == torch.float16


def test_ends_of_text_without_a_generation_config_are_those_of_from_pretrained(whole):
    (whole / "generation_config.json").unlink()
    loaded, expected = load_model(whole, torch.float32), from_pretrained(whole, torch.float32)
    assert loaded.generation_config.eos_token_id == expected.generation_config.eos_token_id == 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts mappings in /proc")
def test_a_tensor_that_is_replaced_takes_its_mapping_with_it(folder):
    model = load_model(folder, torch.float32)
    before = mappings(folder)
    assert before == len({weight.data_ptr() for weight in model.parameters()})
    for weight in model.get_output_embeddings().parameters():
        weight.data = weight.detach().clone()
    assert mappings(folder) == before - 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts mappings in /proc")
def test_converted_tensors_leave_nothing_mapped(folder):
    model = load_model(folder, torch.bfloat16)
    assert mappings(folder) == 0
    assert model.dtype == torch.bfloat16


def mappings(folder: Path) -> int:
    gc.collect()  # models of earlier tests
    return Path("/proc/self/maps").read_text().count(f"{folder}/")


def drop(folder: Path, name: str) -> None:
    stored = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in stored.items() if key != name}, folder / "model.safetensors", metadata={"format": "pt"})


def reshape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] += 1
    (folder / "config.json").write_text(json.dumps(config))


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])


def lose_a_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "other")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": "model-1.safetensors"}}))


DAMAGE = {
    "no weights; expected model.safetensors": lambda folder: (folder / "model.safetensors").unlink(),
    "model.safetensors: not a whole safetensors file": truncate,
    "model-1.safetensors: not a whole safetensors file": lose_a_shard,
    "1 weights of config.json's model are missing, model.language_model.norm.weight": lambda folder: drop(
        folder, "language_model.model.norm.weight"
    ),
    "has shape (50, 16); expected (51, 16) by config.json": reshape,
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damaged_weights_are_one_line(whole, message, caplog):
    DAMAGE[message](whole)
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        load_model(whole, torch.float32)
    assert "\n" not in str(raised.value)
    assert str(whole) in str(raised.value)
    assert not caplog.records
