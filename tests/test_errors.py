"""Bad input through the real commands: one line, no traceback, nothing written that looks finished."""

from __future__ import annotations

import json
import signal
import time

import pytest
import yaml

from tests.captioned_folder import KNOBS, content, write_folder
from tests.workspace import copy_project, run, start

LONG = 400_000  # scenes: longer than any of these tests waits


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


def write_config(project, name, **changes):
    config = yaml.safe_load((project / "config/smoke.yaml").read_text()) | {"experiment": name, "ablations": None} | changes
    (project / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return f"{name}.yaml"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sede": 1}, "sede: unknown key, did you mean 'seed'?"),
        ({"seed": "one"}, "seed: found 'one', expected a valid integer"),
        (
            {"decoding": {"timed": True, "draft_lengths": [0], "warmup": 1, "repeats": 1, "threads": 1}},
            "decoding.draft_lengths[0]: found 0, expected",
        ),
        ({"methods": {"baseline": {}, "ssd": {"exit_layers": [4]}}}, "methods.ssd.exit_layers: found 4, expected 1 to 3"),
        (
            {"methods": {"baseline": {}, "draft-verify": {"trials": 9, "texts": 9, "most_skipped": 1.0}}},
            "methods.draft-verify.most_skipped: found 1.0, expected less than 1",
        ),
    ],
)
def test_snakemake_refuses_a_bad_configuration_before_any_rule(project, changes, line):
    code, output = run(project, "snakemake", "--configfile", write_config(project, "bad", **changes))
    errors = [text for text in output.splitlines() if text.startswith("error: ")]
    assert code != 0
    assert len(errors) == 1 and f"bad.yaml: {line}" in errors[0]
    assert "Traceback" not in output
    assert not (project / "results/bad").exists()


def test_command_line_says_one_line_and_exits_with_2(project, tmp_path):
    captions = content()
    captions["annotations"][4]["image_id"] = 99
    folder = write_folder(tmp_path / "own", captions)
    knobs = json.dumps({**KNOBS, "folder": str(folder)})
    output = tmp_path / "own.jsonl"
    code, said = run(project, "fastvlm", "data", "--dataset", "own", "--seed", "1", "--knobs", knobs, "--output", str(output))
    assert code == 2
    assert said.startswith(f"error: {folder}/captions.json: annotations[4].image_id: 99 names no image") and said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [folder]


def test_an_image_found_bad_half_way_leaves_no_manifest(project, tmp_path):
    folder = write_folder(tmp_path / "own", content())
    (folder / "images/8.png").write_bytes(b"not a picture")
    dataset = {**KNOBS, "folder": str(folder), "max_new_tokens": 16}
    config = write_config(project, "own", datasets={"own": dataset})
    code, output = run(project, "snakemake", "results/own/data/own.jsonl", "--configfile", config)
    assert code != 0
    assert f"error: {folder}/images/8.png: not an image that can be decoded" in output
    assert f"error: {folder}/images/8.png" in (project / "logs/own/data/own.log").read_text()
    assert not list((project / "results").glob("own/data/*"))
    assert "Traceback" not in output


@pytest.mark.parametrize(
    "command", [("fastvlm", "data", "--knobs", "{"), ("fastvlm", "figure", "pie", "--tables", ".", "--output", "x.png")]
)
def test_wrong_arguments(project, command):
    code, output = run(project, *command)
    assert code == 2
    assert "Traceback" not in output


def test_killed_run_goes_on_and_a_running_one_keeps_others_out(project):
    scenes = yaml.safe_load((project / "config/smoke.yaml").read_text())["datasets"]["scenes-caption"]
    target = "results/killed/data/scenes.jsonl"
    long = write_config(project, "killed", datasets={"scenes": {**scenes, "train": LONG}})
    with start(project, "snakemake", target, "--configfile", long) as first:
        while not list((project / "results").glob("killed/data/.*.partial")):
            assert first.poll() is None, first.stdout.read()
            time.sleep(0.1)
        code, output = run(project, "snakemake", target, "--configfile", long)
        assert code != 0 and f"another run is at work in this folder (process {first.pid})" in output
        code, _ = run(project, "snakemake", target, "--configfile", long, "--dry-run")
        assert code == 0, "a dry run disturbs nobody"
        first.send_signal(signal.SIGKILL)
    assert not (project / target).exists()
    short = write_config(project, "killed", datasets={"scenes": {**scenes, "train": 5}})
    code, output = run(project, "snakemake", target, "--configfile", short)
    assert code == 0, output
    assert (project / target).exists()
