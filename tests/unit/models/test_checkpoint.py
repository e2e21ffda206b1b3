"""What a folder is, and which processor belongs to it: every mismatch is one line that names both sides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoProcessor

from fastvlm.errors import UserError
from fastvlm.models.checkpoint import (
    check_processor,
    checkpoint_files,
    checkpoint_folder,
    content_digest,
    family_of,
    open_weights,
    weight_files,
)
from fastvlm.models.weights import load_model
from tests import tiny

COMMIT = "0123456789" * 4


def refused(act, *arguments) -> str:
    with pytest.raises(UserError) as error:
        act(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def with_config(folder: Path, **config) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def loaded(request, tmp_path_factory):
    """(family, folder, model, processor) of a tiny checkpoint of each family."""
    folder = tiny.save_checkpoint(tmp_path_factory.mktemp("checkpoint"), request.param)
    return request.param, folder, load_model(folder, torch.float32), AutoProcessor.from_pretrained(folder)


def test_family_of_what_was_saved(loaded):
    family, folder, *_ = loaded
    assert family_of(folder) == family


def test_the_files_that_stages_depend_on(loaded):
    _, folder, *_ = loaded
    names = [file.name for file in checkpoint_files(folder)]
    expected = ["model.safetensors", "config.json", "generation_config.json", "processor_config.json", "tokenizer.json"]
    assert names == [*expected, "tokenizer_config.json"]


def test_family_where_the_language_model_is_not_named(tmp_path):
    assert family_of(with_config(tmp_path, architectures=["LlavaForConditionalGeneration"])) == "llava"
    assert family_of(with_config(tmp_path, architectures=["Blip2ForConditionalGeneration"], text_config={})) == "blip2-opt"


def test_another_class_is_refused(tmp_path):
    assert "the checkpoint's class is BertModel; expected Llava" in refused(family_of, with_config(tmp_path, architectures=["BertModel"]))
    assert "class is none; expected Llava" in refused(family_of, with_config(tmp_path))
    mistral = with_config(tmp_path, architectures=["LlavaForConditionalGeneration"], text_config={"model_type": "mistral"})
    assert "the language model of this LlavaForConditionalGeneration is of type mistral; expected llama" in refused(family_of, mistral)


@pytest.mark.parametrize("text", ["{", "[1]", '{"architectures":'])
def test_a_config_that_is_no_json_object(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    assert str(tmp_path / "config.json") in refused(family_of, tmp_path)


def test_a_folder_without_a_checkpoint(tmp_path):
    assert "no config.json; expected the folder of a checkpoint" in refused(family_of, tmp_path)
    assert "no weights; expected model.safetensors, or" in refused(weight_files, tmp_path)
    assert f"{tmp_path}/absent: no such folder; expected that of a checkpoint" in refused(weight_files, tmp_path / "absent")
    (tmp_path / "pytorch_model.bin").touch()
    assert "such as .bin, are not read" in refused(weight_files, tmp_path)


def test_shards_are_those_of_the_index(tmp_path):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": names[1], "b": names[0], "c": names[1]}}))
    for name in [*names, "another.safetensors"]:
        (tmp_path / name).touch()
    assert [file.name for file in weight_files(tmp_path)] == names
    (tmp_path / names[0]).unlink()
    assert f"{names[0]}: not a whole safetensors file (it is missing" in refused(weight_files, tmp_path)
    index.write_text("{}")
    assert "index.json: names no file of weights" in refused(weight_files, tmp_path)


def test_a_broken_file_of_weights(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"12")
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole safetensors file"), open_weights(tmp_path / "model.safetensors"):
        pass


def test_a_processor_that_belongs_is_accepted(loaded):
    _, folder, model, processor = loaded
    check_processor(folder, model, processor)


def processor_like(processor, **changes):
    """The processor with other attributes, in a class of the same name."""
    parts = {name: getattr(processor, name, None) for name in ("tokenizer", "image_processor", "patch_size", "num_query_tokens")}
    parts["vision_feature_select_strategy"] = getattr(processor, "vision_feature_select_strategy", None)
    return type(type(processor).__name__, (SimpleNamespace,), {})(**parts | changes)


def test_a_processor_of_another_class(loaded):
    family, folder, model, processor = loaded
    other = "Blip2Processor" if family == "llava" else "LlavaProcessor"
    said = refused(check_processor, folder, model, type(other, (SimpleNamespace,), {})())
    assert said == f"{folder}: the processor is a {other}; expected the {type(processor).__name__} of {type(model).__name__}"


def test_a_tokenizer_with_more_tokens_than_the_head_has_rows(loaded):
    _, folder, model, processor = loaded
    rows = len(model.get_output_embeddings().weight)
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    tokenizer.add_tokens(["<one>", "<two>"])
    said = refused(check_processor, folder, model, processor_like(processor, tokenizer=tokenizer))
    assert said.startswith(f"{folder}: the tokenizer knows {rows + 2} tokens, but the model has {rows} rows in its embedding and LM head")


@pytest.mark.parametrize(("vocabulary", "found"), [({}, "no token <image>"), ({"<image>": 9}, "<image> as token 9")])
def test_another_placeholder_than_the_models(loaded, vocabulary, found):
    _, folder, model, processor = loaded
    tokenizer = type("Tokenizer", (), {"__len__": lambda self: 10, "get_vocab": lambda self: vocabulary})()
    said = refused(check_processor, folder, model, processor_like(processor, tokenizer=tokenizer))
    assert said == f"{folder}: the tokenizer has {found}; expected token 3, as config.json says"


def test_pictures_of_another_size(loaded):
    _, folder, model, processor = loaded
    pictures = SimpleNamespace(size={"height": 32, "width": 32}, crop_size=None)
    said = refused(check_processor, folder, model, processor_like(processor, image_processor=pictures))
    assert said == f"{folder}: the side of a picture is 32 in the processor; expected 48, as config.json says"


def test_another_number_of_image_tokens(loaded):
    family, folder, model, processor = loaded
    key = "patch_size" if family == "llava" else "num_query_tokens"
    said = refused(check_processor, folder, model, processor_like(processor, **{key: 7}))
    assert f"{key} is 7 in the processor; expected {16 if family == 'llava' else 5}" in said


def cached(cache: Path, files: dict[str, bytes]) -> Path:
    """The snapshot of a hub model in a Hugging Face cache."""
    folder = cache / "models--owner--name/snapshots" / COMMIT
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_source_stands_for_the_snapshot_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = cached(tmp_path, {"config.json": b"{}", "model.safetensors": b"123"})
    model = tmp_path / "model"
    model.mkdir()
    assert checkpoint_folder(model) == model
    source = {"id": "owner/name", "revision": None, "commit": COMMIT, "files": {"config.json": 2, "model.safetensors": 3}}
    (model / "source.json").write_text(json.dumps(source))
    assert checkpoint_folder(model) == snapshot
    (snapshot / "model.safetensors").write_bytes(b"12")
    said = refused(checkpoint_folder, model)
    assert f"model.safetensors of owner/name at {COMMIT} is not in the Hugging Face cache any more; run the fetch stage" in said
    (snapshot / "config.json").unlink()
    assert "config.json of owner/name" in refused(checkpoint_folder, model)


def test_a_file_is_known_by_all_of_its_content_or_by_the_cache_s_name_of_it(tmp_path):
    path, name = tmp_path / "weights", hashlib.sha256(b"content").hexdigest()
    path.write_bytes(b"content")
    assert content_digest(path) == name
    blob = tmp_path / name
    blob.write_bytes(b"gigabytes that are not read")
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    assert content_digest(link) == name
