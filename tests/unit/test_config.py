"""Every wrong configuration is refused with one line that names the key, what was found and what was expected."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from fastvlm import knobs
from fastvlm.config import load_config, schema_as_yaml
from fastvlm.errors import UserError
from fastvlm.methods import EXITING
from fastvlm.planning.facts import known_checkpoints
from tests.workspace import PROJECT

DEFAULT = yaml.safe_load((PROJECT / "config.yaml").read_text())
MODEL = "models.llava-small"
VALUE = "ablations.factors.loss.kl"


def without(group: dict, key: str) -> dict:
    return {name: value for name, value in group.items() if name != key}


BLIP2 = {**DEFAULT["models"]["llava-small"], "family": "blip2-opt", "query_tokens": 9, "qformer_layers": 2}
FOLDER = {"source": "folder", "path": "somewhere"}
HUB = {"source": "hub", "id": "owner/name", "revision": None}

WRONG = [
    ("sede", 1, "sede: unknown key, did you mean 'seed'?"),
    ("decoding.draft_length", [1], "decoding.draft_length: unknown key, did you mean 'draft_lengths'?"),
    (f"{MODEL}.training.bacth", 3, f"{MODEL}.training.bacth: unknown key, did you mean 'batch'?"),
    (f"{MODEL}.training.stages.0.step", 3, f"{MODEL}.training.stages[0].step: unknown key, did you mean 'steps'?"),
    ("datasets.scenes-caption.folder", "x", "datasets.scenes-caption.folder: unknown key, expected one of: source, task,"),
    (
        "methods.greedy",
        {},
        "methods.greedy: unknown key, expected one of: baseline, generate, ssd, ssd-joint, layerskip, exit-only, prompt-lookup, ",
    ),
    ("methods.baseline.x", 1, "methods.baseline.x: unknown key, expected one of: no key at all"),
    ("seed", "1", "seed: found '1', expected a valid integer"),
    ("seed", True, "seed: found True, expected a valid integer"),
    ("device", "tpu", "device: found 'tpu', expected 'auto', 'cpu' or 'cuda'"),
    ("experiment", "My Scenes", "experiment: found 'My Scenes', expected lower-case letters, digits and hyphens"),
    ("datasets", {}, "datasets: found {}, expected at least one item"),
    ("datasets.scenes-caption.source", "coco", "datasets.scenes-caption.source: found 'coco', expected one of 'scenes', 'files', 'hub'"),
    ("datasets.scenes-caption", {"source": "files"}, "datasets.scenes-caption.benchmark: missing, expected a value"),
    ("datasets.scenes-caption.test", 0, "datasets.scenes-caption.test: found 0, expected greater than or equal to 1"),
    ("datasets.Bad_Name", {}, "datasets.Bad_Name: found 'Bad_Name', expected lower-case letters"),
    (f"{MODEL}.image_size", 50, f"{MODEL}.image_size: found 50, expected a multiple of patch_size = 16"),
    (f"{MODEL}.hidden", 130, f"{MODEL}.hidden: found 130, expected a multiple of 2 * heads = 8"),
    (f"{MODEL}.layers", 32, f"{MODEL}.training.stages: found 24 layers in the last, expected the model's layers = 32"),
    (f"{MODEL}.query_tokens", 9, f"{MODEL}.query_tokens: unknown key, expected one of: source, vocabulary,"),
    (f"{MODEL}.family", "gpt", f"{MODEL}.family: found 'gpt', expected one of 'llava', 'blip2-opt', 'blip2-t5'"),
    (f"{MODEL}.source", "web", f"{MODEL}.source: found 'web', expected one of 'train', 'hub', 'folder'"),
    (MODEL, {"source": "train"}, f"{MODEL}.family: missing, expected a value"),
    (MODEL, BLIP2 | {"family": "blip2-t5", "qformer_layer": 2}, f"{MODEL}.qformer_layer: unknown key, did you mean 'qformer_layers'?"),
    (MODEL, without(BLIP2, "query_tokens"), f"{MODEL}.query_tokens: missing, expected a value"),
    (MODEL, BLIP2 | {"hidden": 98}, f"{MODEL}.hidden: found 98, expected a multiple of heads = 4"),
    (MODEL, BLIP2 | {"heads": "4"}, f"{MODEL}.heads: found '4', expected a valid integer"),
    (MODEL, BLIP2 | {"vision_hidden": 130}, f"{MODEL}.vision_hidden: found 130, expected a multiple of heads = 4"),
    (MODEL, HUB | {"id": "name"}, f"{MODEL}.id: found 'name', expected owner/name"),
    (MODEL, HUB | {"revision": "main"}, f"{MODEL}.revision: found 'main', expected a commit, 40 hexadecimal digits"),
    (MODEL, without(HUB, "revision"), f"{MODEL}.revision: missing, expected a value"),
    (MODEL, HUB | {"dtype": "int8"}, f"{MODEL}.dtype: found 'int8', expected 'float32', 'float16' or 'bfloat16'"),
    (MODEL, FOLDER | {"exit_layers": {"sdd": [1]}}, f"{MODEL}.exit_layers.sdd: unknown key, did you mean 'ssd'?"),
    (MODEL, FOLDER | {"exit_layers": {"ssd": [2, 1]}}, f"{MODEL}.exit_layers.ssd: found [2, 1], expected distinct numbers"),
    (MODEL, FOLDER | {"exit_layers": {"fastvlm": []}}, f"{MODEL}.exit_layers.fastvlm: found [], expected at least one item"),
    (MODEL, 3, f"{MODEL}: found 3, expected a mapping of keys to values"),
    ("decoding.draft_lengths", [0, 1], "decoding.draft_lengths[0]: found 0, expected greater than or equal to 1"),
    ("decoding.draft_lengths", [2, 1], "decoding.draft_lengths: found [2, 1], expected distinct numbers in ascending order"),
    ("decoding.draft_lengths", [1, 1], "decoding.draft_lengths: found [1, 1], expected distinct numbers in ascending order"),
    ("decoding.draft_lengths", [], "decoding.draft_lengths: found [], expected at least one item"),
    ("decoding.draft_lengths", [4, 128], "decoding.draft_lengths: found 128, expected less than the longest text, 128 tokens"),
    ("decoding.draft_lengths", 4, "decoding.draft_lengths: found 4, expected a list"),
    (
        "decoding.sampling",
        {"temperature": 0},
        "decoding.sampling.temperature: found 0, expected > 0 (at least 1e-06); for greedy decoding set sampling to null",
    ),
    ("decoding.sampling", {"temperature": float("nan")}, "decoding.sampling.temperature: found nan, expected > 0"),
    ("decoding.sampling", {"temperature": 1.0, "top_p": 0}, "decoding.sampling.top_p: found 0, expected 0 < top_p <= 1, or null"),
    ("decoding.sampling", {"temperature": 1.0, "top_p": 1.1}, "decoding.sampling.top_p: found 1.1, expected 0 < top_p <= 1, or null"),
    ("decoding.sampling", {"temperature": 1.0, "top_k": 0}, "decoding.sampling.top_k: found 0, expected top_k >= 1, or null"),
    ("decoding.sampling", {"temperature": 1.0, "top-k": 5}, "decoding.sampling.top-k: unknown key, did you mean 'top_k'?"),
    ("decoding.sampling", {"top_k": 5}, "decoding.sampling.temperature: missing, expected a value"),
    ("decoding.sampling", True, "decoding.sampling: found True, expected a mapping of keys to values"),
    ("decoding.sampling", {"temperature": 1.0}, "methods.oracle: found it beside decoding.sampling, expected one of them"),
    ("methods", {"baseline": {}, "exit-only": {}}, "methods.exit-only: found no fastvlm, expected both"),
    ("methods.ssd.exit_layers", [4, 24], f"methods.ssd.exit_layers: found 24, expected 1 to 23, as {MODEL} has 24 layers"),
    ("methods.draft-verify.most_skipped", 1.0, "methods.draft-verify.most_skipped: found 1.0, expected less than 1"),
    ("methods.draft-verify.most_skipped", 0, "methods.draft-verify.most_skipped: found 0, expected greater than 0"),
    ("methods.draft-verify.most_skip", 0.5, "methods.draft-verify.most_skip: unknown key, did you mean 'most_skipped'?"),
    ("methods.draft-verify.trials", 0, "methods.draft-verify.trials: found 0, expected greater than or equal to 1"),
    (
        "methods.draft-verify.most_skipped",
        0.02,
        f"methods.draft-verify.most_skipped: found 0.02, which is none of the 48 sublayers of {MODEL}; expected at least 0.021",
    ),
    ("methods.layerskip.rotation", None, "methods.layerskip.rotation: found None, expected a count for the rotational curriculum"),
    ("methods.layerskip.curriculum", "gradual", "methods.layerskip.rotation: found 8, expected a count for the rotational"),
    ("methods.layerskip.dropout", 1.5, "methods.layerskip.dropout: found 1.5, expected less than or equal to 1"),
    ("methods.ssd-joint.training.lora", {"rank": 4}, "methods.ssd-joint.training.lora.alpha: missing, expected a value"),
    ("methods.fastvlm.network", "cnn", "methods.fastvlm.network: found 'cnn', expected 'transformer' or 'mlp'"),
    ("distillation.temperature", 0, "distillation.temperature: found 0, expected greater than 0"),
    ("ablations.model", ["x"], "ablations.model: unknown key, did you mean 'models'?"),
    ("ablations.models", ["x"], "ablations.models: found 'x', expected some of llava-small, blip2-opt-small, blip2-t5-small"),
    ("ablations.datasets", ["x"], "ablations.datasets: found 'x', expected some of scenes-caption,"),
    ("ablations.datasets", [], "ablations.datasets: found [], expected at least one item"),
    ("ablations.draft_length", 128, "ablations.draft_length: found 128, expected less than the longest text, 128 tokens"),
    ("ablations.factors", {}, "ablations.factors: found {}, expected at least one item"),
    ("ablations.factors.loss", {}, "ablations.factors.loss: found {}, expected at least one item"),
    (f"{VALUE}.kl_wieght", 1.0, f"{VALUE}.kl_wieght: unknown key, did you mean 'kl_weight'?"),
    (f"{VALUE}.threads", 2, f"{VALUE}.threads: unknown key, expected one of: "),
    (f"{VALUE}.kl_weight", -1.0, f"{VALUE}.kl_weight: found -1.0, expected greater than or equal to 0"),
    (f"{VALUE}.network", "cnn", f"{VALUE}.network: found 'cnn', expected 'transformer' or 'mlp'"),
    (f"{VALUE}.text", None, f"{VALUE}.text: found None, expected 'generated' or 'references'"),
    (VALUE, {"exit_layer": 24}, f"{VALUE}.exit_layer: found 24, expected 1 to 23, as {MODEL} has 24 layers"),
    (VALUE, {"layers": 25}, f"{VALUE}.layers: found 25, expected 1 to 24, as {MODEL} has 24 layers"),
    (VALUE, {"cosine_weight": 0.0, "kl_weight": 0.0}, f"{VALUE}.cosine_weight, kl_weight and cross_entropy_weight are all 0, expected"),
    ("methods", {"baseline": {}}, "ablations: found without methods.fastvlm, expected both"),
    ("statistics.confidence", 95, "statistics.confidence: found 95, expected less than 1"),
]


def with_value(path: str, value: object) -> dict:
    config = copy.deepcopy(DEFAULT)
    *groups, key = path.split(".")
    group = config
    for part in groups:
        group = group[int(part) if isinstance(group, list) else part]
    group[key] = value
    return config


@pytest.mark.parametrize(("path", "value", "line"), WRONG)
def test_wrong_value_is_named_in_one_line(path, value, line):
    with pytest.raises(UserError) as error:
        load_config(with_value(path, value), "config.yaml")
    assert str(error.value).startswith(f"config.yaml: {line}")
    assert "\n" not in str(error.value)


OPTIONAL = {"ablations"}


@pytest.mark.parametrize("key", sorted(DEFAULT.keys() - OPTIONAL))
def test_missing_key_is_named(key):
    with pytest.raises(UserError, match=f"^config: {key}: missing, expected a value$"):
        load_config(without(DEFAULT, key))


def test_all_losses_cannot_be_off():
    config = with_value("distillation.kl_weight", 0)
    config["distillation"]["cosine_weight"] = 0
    with pytest.raises(
        UserError, match=r"distillation\.cosine_weight, kl_weight and cross_entropy_weight are all 0, expected at least one"
    ):
        load_config(config)


@pytest.mark.parametrize(
    "model",
    [
        BLIP2,
        BLIP2 | {"family": "blip2-t5", "hidden": 100},
        HUB | {"revision": "0" * 40},
        HUB | {"dtype": "bfloat16", "device": "cuda", "exit_layers": {"ssd": [30]}},
        FOLDER | {"exit_layers": {"ssd": [30], "fastvlm": [40]}},
    ],
)
def test_models_of_every_source(model):
    load_config(with_value(MODEL, model))


@pytest.mark.parametrize("path", [PROJECT / "config.yaml", *sorted((PROJECT / "config").glob("*.yaml"))], ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path):
    assert load_config(path).experiment


def test_the_papers_experiment_names_all_its_checkpoints():
    models = load_config(PROJECT / "config/paper.yaml").models
    assert {model.id for model in models.values()} == set(known_checkpoints())
    assert {model.dtype for model in models.values() if "t5" in model.id} == {"bfloat16"}


def test_exit_layers_of_the_papers_experiment_are_inside_each_decoder():
    config = load_config(PROJECT / "config/paper.yaml")
    for name, model in config.models.items():
        layers = known_checkpoints()[model.id].shape.decoder_layers
        assert all(max(knobs.exit_layers(config, name, method)) < layers for method in EXITING)


def test_half_precision_is_measured_on_all_models_of_the_default_experiment():
    config = load_config(PROJECT / "config/precision.yaml")
    dtypes: dict[str, set[str]] = {}
    for name, model in config.models.items():
        dtypes.setdefault(model.path, set()).add(knobs.arithmetic(config, name)["dtype"])
    both = {"bfloat16", "float16"}
    expected = {name: {"bfloat16"} if model["family"] == "blip2-t5" else both for name, model in DEFAULT["models"].items()}
    assert dtypes == {f"results/{DEFAULT['experiment']}/models/{name}": expected[name] for name in expected}


def test_configuration_is_frozen():
    with pytest.raises(ValidationError):
        load_config(DEFAULT).seed = 2


@pytest.mark.parametrize("text", ["a: [b", "- a", ""])
def test_file_that_is_no_mapping(tmp_path: Path, text: str):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"c\.yaml: .*expected a YAML") as error:
        load_config(path)
    assert "\n" not in str(error.value)


def test_schema_file_is_current():
    assert (PROJECT / "workflow/schemas/config.schema.yaml").read_text() == schema_as_yaml(), "run `make schema`"


def test_every_knob_is_described():
    schema = yaml.safe_load(schema_as_yaml())
    groups = [schema, *schema["$defs"].values()]
    described = [(group["title"], key, knob) for group in groups for key, knob in group.get("properties", {}).items()]
    nameless = [(title, key) for title, key, knob in described if "description" not in str(knob) and "$ref" not in str(knob)]
    assert not [name for name in nameless if name not in {("Config", "datasets"), ("Config", "models")}]
