"""A stage is told what it reads and nothing else: so a changed knob makes stale only what depends on it."""

from __future__ import annotations

import yaml

from fastvlm import knobs
from fastvlm.config import load_config
from fastvlm.methods import DRAFTING
from tests.workspace import PROJECT

SOURCE = yaml.safe_load((PROJECT / "config.yaml").read_text()) | {"ablations": None}
CONFIG = load_config(SOURCE)


def all_knobs(config) -> dict[str, object]:
    return {
        "data": knobs.data(config, "scenes-caption"),
        "pretrain": knobs.pretrain(config, "llava-small"),
        "texts": knobs.texts(config, "llava-small"),
        "distill": knobs.distill(config, "llava-small", "transformer", 1),
        "search": knobs.search(config, "llava-small"),
        **{f"finetune {method}": knobs.finetune(config, "llava-small", method) for method in knobs.retrained_methods(config)},
        **{method: knobs.decode(config, "llava-small", method) for method in knobs.decoded_methods(config)},
        "cost": knobs.cost(config, "llava-small"),
        "tables": knobs.tables(config),
        "quality": knobs.quality(config),
    }


def changed_by(group: str, **values) -> set[str]:
    other = load_config({**SOURCE, group: {**SOURCE[group], **values}})
    return {stage for stage, told in all_knobs(other).items() if told != all_knobs(CONFIG)[stage]}


def test_draft_lengths_reach_methods_that_draft_and_the_longest_what_prepares_them():
    drafting = set(DRAFTING) - {"oracle"}  # which is decoded in FastVLM's job
    longest = max(CONFIG.decoding.draft_lengths)
    assert changed_by("decoding", draft_lengths=[1, 2, longest]) == drafting
    assert changed_by("decoding", draft_lengths=[1, 2, longest - 1]) == drafting | {"cost", "search"}


def test_the_oracle_is_decoded_beside_fastvlm():
    told = {method: knobs.decode(CONFIG, "llava-small", method)["oracle"] for method in knobs.decoded_methods(CONFIG)}
    assert [method for method, oracle in told.items() if oracle] == ["fastvlm"]
    without = load_config({**SOURCE, "methods": {name: value for name, value in SOURCE["methods"].items() if name != "oracle"}})
    assert knobs.decode(without, "llava-small", "fastvlm")["oracle"] is False


def test_sampling_reaches_what_drafts_and_decodes_and_nothing_else():
    without_oracle = {name: value for name, value in SOURCE["methods"].items() if name != "oracle"}
    how = {"temperature": 0.7, "top_k": None, "top_p": 0.9}
    greedy = load_config({**SOURCE, "methods": without_oracle})
    drawn = load_config({**SOURCE, "methods": without_oracle, "decoding": SOURCE["decoding"] | {"sampling": how}})
    changed = {stage for stage, told in all_knobs(drawn).items() if told != all_knobs(greedy)[stage]}
    assert changed == set(without_oracle)
    told = [knobs.decode(drawn, "llava-small", "ssd"), knobs.observe(drawn, "llava-small", "ssd")]
    assert [stage["sampling"] for stage in told] == [how | {"seed": SOURCE["seed"]}] * 2
    assert knobs.fit(drawn, "llava-small", "ssd") == knobs.fit(greedy, "llava-small", "ssd")


def test_statistics_reach_only_tables():
    assert changed_by("statistics", context_bin=7) == {"tables"}
    assert changed_by("statistics", resamples=99) == {"tables", "quality"}


def test_exit_layers_reach_only_their_method_and_the_cost():
    assert changed_by("methods", ssd={"exit_layers": [3]}) == {"ssd", "cost"}


def test_what_the_search_is_told_reaches_only_the_search():
    told = {"trials": 9, "texts": 9, "most_skipped": 0.5}
    assert changed_by("methods", **{"draft-verify": told}) == {"search"}
    assert knobs.search(CONFIG, "llava-small")["longest_draft"] == max(CONFIG.decoding.draft_lengths)


def test_a_method_without_exit_layers_is_fitted_once():
    assert knobs.fit(CONFIG, "llava-small", "draft-verify")["exit_layers"] == [None]
    assert knobs.fits(CONFIG, "llava-small", "draft-verify") and not knobs.fits(CONFIG, "llava-small", "prompt-lookup")


def test_distillation_leaves_training_alone():
    assert changed_by("distillation", epochs=99) == {"distill"}
    assert changed_by("distillation", generation_batch=99) == {"texts"}


def test_more_seeds_reach_no_job_that_is_there_already():
    assert changed_by("distillation", seeds=3) == set()
    config = load_config({**SOURCE, "distillation": {**SOURCE["distillation"], "seeds": 3}})
    assert knobs.network_seeds(config) == [CONFIG.seed, CONFIG.seed + 1, CONFIG.seed + 2]
    told = [knobs.distill(config, "llava-small", "transformer", 1, seed) for seed in knobs.network_seeds(config)]
    assert told[0] == knobs.distill(CONFIG, "llava-small", "transformer", 1)
    assert [{**one, "seed": 0} for one in told] == [{**told[0], "seed": 0}] * 3 and len({one["seed"] for one in told}) == 3
    assert (knobs.spreads(CONFIG), knobs.spreads(config)) == (False, True)


def test_a_method_that_is_left_out_is_not_run():
    config = load_config({**SOURCE, "methods": {"baseline": {}, "ssd": {"exit_layers": [4]}}})
    assert knobs.methods(config) == ["baseline", "ssd"]
    assert knobs.cost(config, "llava-small")["exit_layers"] == {"ssd": [4], "ssd-joint": [], "layerskip": [], "fastvlm": []}


def test_fine_tuning_is_told_of_exit_layers_where_they_are_what_it_teaches():
    joint, skip = (SOURCE["methods"][method] | {"exit_layers": [3]} for method in ("ssd-joint", "layerskip"))
    assert changed_by("methods", **{"ssd-joint": joint}) == {"finetune ssd-joint", "ssd-joint", "cost"}
    assert changed_by("methods", layerskip=skip) == {"layerskip", "cost"}
    told = changed_by("methods", layerskip=SOURCE["methods"]["layerskip"] | {"dropout": 0.3})
    assert told == {"finetune layerskip"}


def test_adapters_are_for_checkpoints_that_were_not_trained_here():
    lora = {"rank": 8, "alpha": 16.0}
    skip = SOURCE["methods"]["layerskip"]
    methods = SOURCE["methods"] | {"layerskip": skip | {"training": skip["training"] | {"lora": lora}}}
    models = SOURCE["models"] | {
        "given": {"source": "folder", "path": "somewhere", "dtype": "bfloat16", "exit_layers": {"ssd-joint": [30]}}
    }
    config = load_config({**SOURCE, "methods": methods, "models": models, "dtype": "float16"})
    told = {model: knobs.finetune(config, model, "layerskip") for model in ("given", "llava-small")}
    assert {model: (one["training"]["lora"], one["dtype"]) for model, one in told.items()} == {
        "given": (lora, "bfloat16"),
        "llava-small": (None, "float32"),
    }
    # Nor do weights that all learn follow the arithmetic of decoding.
    joint = knobs.finetune(config, "given", "ssd-joint")
    assert (joint["dtype"], joint["exit_layers"]) == ("float32", [30])


def with_model(**model) -> object:
    return load_config({**SOURCE, "models": {**SOURCE["models"], "given": {"source": "folder", "path": "somewhere", **model}}})


def test_exit_layers_of_a_model_stand_before_those_of_the_methods():
    config = with_model(exit_layers={"ssd": [30]})
    assert knobs.exit_layers(config, "given", "ssd") == [30]
    assert knobs.exit_layers(config, "given", "fastvlm") == knobs.exit_layers(CONFIG, "llava-small", "fastvlm")
    assert knobs.exit_layers(config, "llava-small", "ssd") == knobs.exit_layers(CONFIG, "llava-small", "ssd")
    assert knobs.decode(config, "given", "ssd")["exit_layers"] == [30]
    assert knobs.cost(config, "given")["exit_layers"]["ssd"] == [30]


def test_exit_layers_of_a_model_do_not_bring_back_a_method_that_is_left_out():
    left_out = {**SOURCE, "methods": {"baseline": {}}, "models": {"given": {"source": "folder", "path": "x", "exit_layers": {"ssd": [3]}}}}
    assert knobs.exit_layers(load_config(left_out), "given", "ssd") == []


def test_every_stage_that_loads_a_model_is_told_its_own_arithmetic():
    config = with_model(dtype="float16", device="cpu")
    told = [
        knobs.texts(config, "given"),
        knobs.distill(config, "given", "mlp", 1),
        knobs.decode(config, "given", "ssd"),
        knobs.cost(config, "given"),
    ]
    assert all((stage["dtype"], stage["device"]) == ("float16", "cpu") for stage in told)
    assert knobs.cost(config, "llava-small")["dtype"] == CONFIG.dtype


def test_what_is_fetched_does_not_depend_on_how_it_is_run():
    told = [
        knobs.fetch(load_config({**SOURCE, "models": {"given": {"source": "hub", "id": "owner/name", "revision": None, **how}}}), "given")
        for how in ({}, {"dtype": "float16", "device": "cpu", "exit_layers": {"ssd": [3]}})
    ]
    assert told[0] == told[1] == {"id": "owner/name", "revision": None}


def test_a_dataset_may_be_timed_more_often_than_others():
    datasets = {name: {**SOURCE["datasets"][name], "repeats": own} for name, own in (("scenes-caption", None), ("scenes-vqa", 5))}
    config = load_config({**SOURCE, "datasets": datasets, "decoding": SOURCE["decoding"] | {"repeats": 2}})
    assert knobs.decode(config, "llava-small", "ssd")["repeats"] == [2, 5]
    assert all("repeats" not in knobs.data(config, name) for name in datasets)  # nothing is drawn anew for it


def test_exit_only_exits_where_fastvlm_does():
    config = load_config({**SOURCE, "methods": SOURCE["methods"] | {"exit-only": {}}})
    assert knobs.exit_layers(config, "llava-small", "exit-only") == knobs.exit_layers(config, "llava-small", "fastvlm") != []
    told = knobs.decode(config, "llava-small", "exit-only")
    assert (told["splits"], told["draft_lengths"]) == (["validation", "test"], [])


def test_the_longest_training_is_known():
    lengths = {model: knobs.training_length(CONFIG, model) for model in CONFIG.models}
    assert max(lengths, key=lengths.get) == "blip2-t5-small"
    assert lengths["llava-small"] == 4 * (150 + 450 + 1200) + 8 * 60 + 24 * 60
