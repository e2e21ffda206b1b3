"""The decode stage on a tiny checkpoint: rows as the tables expect them, and refusals."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from fastvlm.data.example import write_manifest
from fastvlm.decoding import reference, speculative
from fastvlm.decoding import run as stage
from fastvlm.decoding.run import decode
from fastvlm.decoding.trace import Trace
from fastvlm.errors import UserError
from fastvlm.imitation.network import build_network
from fastvlm.imitation.store import fingerprint, save_network
from fastvlm.rows import read_rows
from tests import tiny

KNOBS = {
    "experiment": "tiny", "model": "tiny-llava", "splits": ["test"], "device": "cpu", "dtype": "float32",
    "threads": 1, "draft_lengths": [1, 3], "exit_layers": [], "policies": [], "sampling": None, "warmup": 1,
    "choose_on": None, "repeats": [2], "max_new_tokens": [12], "shard": 0, "shards": [1],
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "scenes-caption.jsonl"
    write_manifest(path, tiny.examples(3))
    return path


@pytest.fixture(scope="module")
def imitation(tmp_path_factory, checkpoint):
    folder = tmp_path_factory.mktemp("imitation")
    network = build_network("transformer", tiny.load(checkpoint).backbone.language.config)
    save_network(
        folder, network, {"network": "transformer", "layers": 1, "exit_layer": 2, "dtype": "float32", "backbone": fingerprint(checkpoint)}
    )
    return folder


def run(tmp_path, checkpoint, manifest, imitations=(), **knobs):
    decode({**KNOBS, **knobs}, checkpoint, [manifest], list(imitations), tmp_path / "rows")
    return rows_of(tmp_path / "rows" / "scenes-caption.jsonl")


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_one_row_an_example_exit_layer_and_draft_length(tmp_path, checkpoint, manifest):
    rows = run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[1, 3])
    settings = [(row["example"], row["exit_layer"], row["draft_length"]) for row in rows]
    assert settings == [(f"test-{i}", n, k) for i in range(3) for n in (1, 3) for k in (1, 3)]
    assert all(row["equal_to_baseline"] and row["first_difference"] is None for row in rows)
    assert all(row["decode_seconds"] > 0 and row["prefill_seconds"] == row["baseline_prefill_seconds"] > 0 for row in rows)
    assert {(row["policy"], row["dtype"], row["logit_gap"]) for row in rows} == {("fixed", "float32", None)}
    assert not any("pieces" in row for row in rows)


@pytest.mark.parametrize("method", ["baseline", "generate"])
def test_methods_without_drafts(tmp_path, checkpoint, manifest, method):
    rows = run(tmp_path, checkpoint, manifest, method=method)
    assert [(row["exit_layer"], row["draft_length"], row["policy"]) for row in rows] == [(None, None, "")] * 3
    assert all(row["equal_to_baseline"] for row in rows)
    assert all(len(row["passes"]) == (row["output_tokens"] - 1 if method == "baseline" else 0) for row in rows)
    # The text by token stands once, with plain decoding.
    spelt = [row for row in rows if "pieces" in row]
    assert len(spelt) == (len(rows) if method == "baseline" else 0)
    assert all("".join(row["pieces"]) == row["text"] and len(row["pieces"]) == row["output_tokens"] for row in spelt)


def test_fastvlm_is_lossless_and_needs_the_networks_it_was_configured_with(tmp_path, checkpoint, manifest, imitation):
    rows = run(tmp_path, checkpoint, manifest, [imitation], method="fastvlm", exit_layers=[2])
    assert len(rows) == 6 and all(row["equal_to_baseline"] for row in rows)
    with pytest.raises(UserError, match=r"exit layers \[2\] were given; expected \[3\]"):
        run(tmp_path, checkpoint, manifest, [imitation], method="fastvlm", exit_layers=[3])


def test_the_oracle_stands_beside_fastvlm(tmp_path, checkpoint, manifest, imitation):
    rows = run(tmp_path, checkpoint, manifest, [imitation], method="fastvlm", exit_layers=[2], oracle=True)
    settings = [(row["example"], row["method"], row["exit_layer"], row["draft_length"]) for row in rows]
    assert settings == [(f"test-{i}", method, 2, k) for i in range(3) for method in ("fastvlm", "oracle") for k in (1, 3)]
    assert all(row["equal_to_baseline"] for row in rows)
    passes = [row["passes"] for row in rows if row["method"] == "oracle"]
    assert all(accepted == drafted for of in passes for _, drafted, accepted in of)
    assert passes != [row["passes"] for row in rows if row["method"] == "fastvlm"]


def test_a_text_that_differs_says_where_and_by_how_much(tmp_path, checkpoint, manifest, monkeypatch):
    """A verifier that believes every draft: what law 1 would call an error is counted, not hidden."""

    def gullible(drafts, choices):
        return [*drafts.tolist(), int(choices[-1])], len(drafts)

    monkeypatch.setattr(speculative, "verify_greedy", gullible)
    rows = run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[1], draft_lengths=[3])
    differing = [row for row in rows if not row["equal_to_baseline"]]
    assert differing and all(row["first_difference"] >= 1 and row["logit_gap"] > 0 for row in differing)


def test_a_first_token_that_differs_has_a_gap_too(tmp_path, checkpoint, manifest, monkeypatch):
    """`generate` runs a prefill of its own."""
    monkeypatch.setattr(reference, "generate", lambda target, inputs, limit, sampling: Trace([7] * limit))
    rows = run(tmp_path, checkpoint, manifest, method="generate")
    assert all(row["first_difference"] == 0 and row["logit_gap"] > 0 for row in rows)


def test_a_network_of_another_backbone_is_refused(tmp_path, manifest, imitation):
    other = tiny.save_checkpoint(tmp_path / "other", seed=9)
    with pytest.raises(UserError, match="distilled for backbone"):
        run(tmp_path, other, manifest, [imitation], method="fastvlm", exit_layers=[2])


def test_an_exit_layer_outside_the_model_is_refused(tmp_path, checkpoint, manifest):
    with pytest.raises(UserError, match=r"exit layer 5: outside the decoder; expected 1 to 4"):
        run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[5])
    assert not (tmp_path / "rows").exists()


def test_a_job_that_fails_half_way_leaves_only_its_journal_and_goes_on(tmp_path, checkpoint, manifest, monkeypatch):
    real, calls = stage.compete, []

    def breaks_later(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("power cut")
        return real(*args, **kwargs)

    monkeypatch.setattr(stage, "compete", breaks_later)
    with pytest.raises(RuntimeError):
        run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[1])
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".journal"]
    calls[:] = [0] * 9
    rows = run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[1])
    assert len(calls) == 9 + 2, "the third example, and itself to warm up"
    assert [row["example"] for row in rows] == [f"test-{i}" for i in range(3) for _ in range(2)]


def test_both_splits_go_into_a_file_for_each_dataset_and_validation_may_be_empty(tmp_path, checkpoint):
    paths = [tmp_path / "data" / f"{name}.jsonl" for name in ("with", "without")]
    write_manifest(paths[0], [*tiny.examples(2, "validation"), *tiny.examples(1)])
    write_manifest(paths[1], tiny.examples(1))
    knobs = KNOBS | {
        "method": "ssd",
        "exit_layers": [1],
        "splits": ["validation", "test"],
        "max_new_tokens": [4, 6],
        "repeats": [1, 1],
        "draft_lengths": [2],
        "shards": [1, 1],
    }
    decode(knobs, checkpoint, paths, [], tmp_path / "rows")
    found = [[(row["dataset"], row["split"]) for row in rows_of(tmp_path / "rows" / path.name)] for path in paths]
    assert found == [[("with", "validation"), ("with", "validation"), ("with", "test")], [("without", "test")]]
    assert max(row["output_tokens"] for row in rows_of(tmp_path / "rows" / "with.jsonl")) <= 4


@pytest.mark.parametrize(("choose_on", "expected"), [(None, range(7)), (3, (0, 2, 4)), (7, range(7)), (9, range(7))])
def test_settings_are_raced_on_some_of_validation_spread_over_it_and_on_all_of_test(tmp_path, checkpoint, choose_on, expected):
    path = tmp_path / "drawn.jsonl"
    write_manifest(path, [*tiny.examples(7, "validation"), *tiny.examples(4)])
    knobs = KNOBS | {"method": "ssd", "exit_layers": [1], "draft_lengths": [2], "splits": ["validation", "test"], "max_new_tokens": [3]}
    decode(knobs | {"repeats": [1], "choose_on": choose_on}, checkpoint, [path], [], tmp_path / "rows")
    found = [row["example"] for row in rows_of(tmp_path / "rows" / "drawn.jsonl")]
    assert found == [f"validation-{place}" for place in expected] + [f"test-{place}" for place in range(4)]


def test_a_dataset_that_an_earlier_run_finished_is_not_decoded_again(tmp_path, checkpoint, manifest, monkeypatch):
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    write_manifest(first, tiny.examples(1))
    write_manifest(second, tiny.examples(2))
    knobs = KNOBS | {"method": "ssd", "exit_layers": [1], "max_new_tokens": [5, 5], "repeats": [2, 2], "shards": [1, 1]}
    decode(knobs, checkpoint, [first, second], [], tmp_path / "rows")
    written = {name: (tmp_path / "rows" / name).read_bytes() for name in ("first.jsonl", "second.jsonl")}
    (tmp_path / "rows" / "first.jsonl").unlink()
    decode(knobs | {"max_new_tokens": [5, 6]}, checkpoint, [first, second], [], tmp_path / "rows")
    # Seconds never come out the same twice.
    assert (tmp_path / "rows" / "first.jsonl").read_bytes() == written["first.jsonl"]
    assert (tmp_path / "rows" / "second.jsonl").read_bytes() != written["second.jsonl"]
    assert len(list((tmp_path / "rows" / ".journal").iterdir())) == 2
    written["second.jsonl"] = (tmp_path / "rows" / "second.jsonl").read_bytes()
    decode(knobs | {"max_new_tokens": [5, 6], "repeats": [1, 2]}, checkpoint, [first, second], [], tmp_path / "rows")
    assert (tmp_path / "rows" / "first.jsonl").read_bytes() != written["first.jsonl"]
    assert (tmp_path / "rows" / "second.jsonl").read_bytes() == written["second.jsonl"]


def test_rows_name_the_machine_and_the_code_that_made_them(tmp_path, checkpoint, manifest):
    rows = run(tmp_path, checkpoint, manifest, method="baseline")
    records = json.loads((tmp_path / "rows" / "machines.json").read_text())
    assert {row["machine"] for row in rows} == set(records) and len(records) == 1
    [record] = records.values()
    assert record["threads"] == 1 and record["cpu"] and record["torch"].startswith("2.")
    assert all(len(row["code"].split("+")) == 2 for row in rows)


def test_a_copy_elsewhere_goes_on_where_the_job_stopped(tmp_path, checkpoint, manifest, monkeypatch):
    rows = run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[1])
    copied = tmp_path / "elsewhere"
    shutil.copytree(checkpoint, copied / "model", copy_function=shutil.copyfile)  # with another time of change
    shutil.copytree(tmp_path / "rows" / ".journal", copied / "journal")
    knobs = KNOBS | {"method": "ssd", "exit_layers": [1]}
    monkeypatch.setattr(stage, "compete", None)
    decode(knobs, copied / "model", [manifest], [], copied / "rows", journals=copied / "journal")
    assert rows_of(copied / "rows" / manifest.name) == rows
    weights = copied / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(TypeError):  # asked to decode, which `compete` cannot
        decode(knobs, copied / "model", [manifest], [], copied / "rows", journals=copied / "journal")


def test_two_runs_differ_in_timing_only(tmp_path, checkpoint, manifest):
    first, second = (run(tmp_path / place, checkpoint, manifest, method="ssd", exit_layers=[2]) for place in ("first", "second"))
    untimed = [{key: value for key, value in row.items() if not key.endswith("seconds")} for row in first]
    assert untimed == [{key: value for key, value in row.items() if not key.endswith("seconds")} for row in second]
    assert torch.is_grad_enabled() is False


def test_a_policy_without_its_curve_is_refused_before_anything_is_decoded(tmp_path, checkpoint, manifest):
    with pytest.raises(UserError, match="policy 'goodput' was not fitted for ssd at exit layer 1 on scenes-caption; run the observe, cost"):
        run(tmp_path, checkpoint, manifest, method="ssd", exit_layers=[1], policies=["goodput"])
    assert not list(tmp_path.iterdir())


def test_fitted_policies_are_settings_of_their_own(tmp_path, checkpoint, manifest):
    dataset = {"dataset": manifest.stem, "exit_layer": 1}
    fitted = [
        dataset | {"policy": "confidence", "length": 3, "threshold": 0.4},
        dataset | {"policy": "context", "begins": [0], "lengths": [2]},
        dataset | {"policy": "goodput", "drafts": False},
    ]
    (tmp_path / "fitted.json").write_text(json.dumps(fitted))
    names = ["confidence", "context", "goodput"]
    knobs = KNOBS | {"method": "ssd", "exit_layers": [1], "policies": names}
    decode(knobs, checkpoint, [manifest], [], tmp_path / "rows", policies=tmp_path / "fitted.json")
    rows = read_rows(tmp_path / "rows" / manifest.name)
    settings = dict.fromkeys((row["policy"], row["draft_length"]) for row in rows)
    assert list(settings) == [("fixed", 1), ("fixed", 3), *((name, 3) for name in names)]
    assert all(row["equal_to_baseline"] for row in rows)
    assert all(drafted == 0 for row in rows if row["policy"] == "goodput" for _, drafted, _ in row["passes"])


@pytest.mark.parametrize("drawn", [False, True])
def test_settings_that_do_the_same_run_once_unless_texts_are_drawn(tmp_path, checkpoint, manifest, monkeypatch, drawn):
    """A policy that always drafts as many is that fixed length, and one that never drafts is the plain decoding beside it."""
    fitted = [
        {"policy": "confidence", "length": 3, "threshold": 0.0},
        {"policy": "context", "begins": [0, 9], "lengths": [3, 3]},
        {"policy": "goodput", "drafts": False},
    ]
    policies = tmp_path / "fitted.json"
    policies.write_text(json.dumps([record | {"dataset": manifest.stem, "exit_layer": 1} for record in fitted]))
    ran, real = [], stage.compete
    monkeypatch.setattr(stage, "compete", lambda prefix, acts, **how: ran.append(len(acts)) or real(prefix, acts, **how))
    knobs = KNOBS | {"method": "ssd", "exit_layers": [1], "policies": ["confidence", "context", "goodput"]}
    knobs |= {"sampling": SAMPLING if drawn else None}
    decode(knobs, checkpoint, [manifest], [], tmp_path / "rows", policies=policies)
    assert set(ran) == {6 if drawn else 1 + 3}  # plain decoding, 1, 3, and what looks at each draft
    by_policy = {}
    for row in rows_of(tmp_path / "rows" / "scenes-caption.jsonl"):
        by_policy.setdefault((row["policy"], row["draft_length"]), []).append(row)
    assert list(by_policy) == [("fixed", 1), ("fixed", 3), ("confidence", 3), ("context", 3), ("goodput", 3)]
    same = [a["decode_seconds"] == b["decode_seconds"] for a, b in zip(by_policy["fixed", 3], by_policy["context", 3], strict=True)]
    plain = [row["decode_seconds"] == row["baseline_decode_seconds"] for row in by_policy["goodput", 3]]
    assert same == plain == [not drawn] * 3
    assert all(row["equal_to_baseline"] is not False for rows in by_policy.values() for row in rows)


def test_plain_decoding_is_raced_against_itself(tmp_path, checkpoint, manifest):
    assert all(row["decode_seconds"] != row["baseline_decode_seconds"] for row in run(tmp_path, checkpoint, manifest, method="baseline"))


SAMPLING = {"seed": 1, "temperature": 0.8, "top_k": 40, "top_p": 0.95}


@pytest.mark.parametrize("method", ["baseline", "generate", "ssd", "prompt-lookup"])
def test_drawn_texts_are_compared_with_none_and_drawn_again_from_the_same_seed(tmp_path, checkpoint, manifest, method):
    knobs = {"method": method, "exit_layers": [1] if method == "ssd" else [], "repeats": [1]}
    first, again = (run(tmp_path / place, checkpoint, manifest, **knobs, sampling=SAMPLING) for place in ("first", "again"))
    other = run(tmp_path / "other", checkpoint, manifest, **knobs, sampling=SAMPLING | {"seed": 2})
    assert {row[column] for row in first for column in ("equal_to_baseline", "first_difference", "logit_gap")} == {None}
    texts = [[row["text"] for row in rows] for rows in (first, again, other)]
    assert texts[0] == texts[1] != texts[2]
    assert len(set(texts[0])) == len(texts[0])  # each example and setting draws its own


def test_generate_draws_by_our_parameters_and_no_defaults_of_its_own(tmp_path, target, monkeypatch):
    seen = {}
    monkeypatch.setattr(target.backbone.model, "generate", lambda **how: seen.update(how) or torch.zeros(1, 60, dtype=torch.long))
    inputs = target.prepare(tiny.examples(1)[0])
    reference.generate(target, inputs, 4, SAMPLING | {"top_k": None, "top_p": None})
    assert [seen[name] for name in ("do_sample", "temperature", "top_k", "top_p")] == [True, 0.8, 0, 1.0]
    reference.generate(target, inputs, 4, SAMPLING)
    assert [seen[name] for name in ("do_sample", "temperature", "top_k", "top_p")] == [True, 0.8, 40, 0.95]
