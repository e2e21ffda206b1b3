"""`fastvlm plan` and the hub: asked only where that is wanted, and then for sizes alone."""

from __future__ import annotations

import csv
import os
import subprocess

import pytest
import yaml

from fastvlm.errors import UserError
from fastvlm.planning.hub import ask
from fastvlm.rows import write_json
from tests import tiny
from tests.loopback_hub import Repository, serve
from tests.unit.planning.experiment import LLAVA, SMOKE
from tests.workspace import PROJECT, environment

ID, COMMIT = "owner/some-model", "a" * 40


@pytest.fixture
def hub(tmp_path):
    """A hub with one small BLIP-2 over T5."""
    with serve() as served:
        served.repositories[ID] = Repository({COMMIT: tiny.save_checkpoint(tmp_path / "published", "blip2-t5")})
        yield served


@pytest.fixture
def plan(hub, tmp_path):
    """(exit code, output, rows by dataset) of the command in a process of its own, as the client reads its environment once."""

    def run(*arguments, identity=ID, **variables):
        config = tmp_path / "own.yaml"
        config.write_text(yaml.safe_dump(SMOKE | {"models": {"own": LLAVA | {"id": identity}}}))
        table = tmp_path / "plan.csv"
        proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
        client = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
        command = ["fastvlm", "plan", "--configfile", str(config), "--results", str(tmp_path / "results"), "--output", str(table)]
        done = subprocess.run(
            [*command, *arguments], env=environment(PROJECT) | proxies | client | variables, text=True, capture_output=True
        )
        rows = list(csv.DictReader(table.open())) if table.is_file() else []
        return done.returncode, done.stdout + done.stderr, {row["dataset"]: row for row in rows if row["model"]}

    return run


def test_the_hub_is_asked_only_where_that_is_wanted(plan, hub):
    code, output, rows = plan()
    assert code == 0 and hub.requests == []
    assert f"own: unknown: {ID} is none of the checkpoints whose sizes come with this package; give --ask-hub" in output
    assert rows[""]["download_bytes"] == ""


def test_the_hub_tells_sizes_and_sends_no_weights(plan, hub, tmp_path):
    code, output, rows = plan("--ask-hub")
    assert code == 0, output
    published = tmp_path / "published"
    assert int(rows[""]["download_bytes"]) == sum(file.stat().st_size for file in published.iterdir())
    assert rows["scenes-caption"]["device_bytes"] and rows["scenes-caption"]["rate"] == "assumed"
    assert "own: blip2-t5, " in output and "read on the hub" in output
    # The client reads the header of a safetensors file as its first 100 kB.
    assert {range_ for method, range_ in hub.of("model.safetensors") if method == "GET"} == {"bytes=0-100000"}


def test_what_has_been_fetched_is_not_downloaded_again(plan, hub, tmp_path):
    snapshot = tmp_path / "cache/hub/models--owner--some-model/snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    (tmp_path / "published").rename(snapshot)
    files = {file.name: file.stat().st_size for file in snapshot.iterdir()}
    source = {"id": ID, "revision": None, "commit": COMMIT, "files": files}
    write_json(tmp_path / "results/smoke/models/own/source.json", source)
    code, output, rows = plan()
    assert code == 0 and "read in the Hugging Face cache, where it is already" in output
    assert rows[""]["download_bytes"] == "0" and hub.requests == []


def test_a_repository_that_is_not_there_is_one_line(plan):
    code, output, rows = plan("--ask-hub", identity="owner/absent")
    assert code == 2 and rows == {}
    (line,) = [text for text in output.splitlines() if text.startswith("error: ")]
    assert line.startswith("error: owner/absent: no such repository on the hub")
    assert "Traceback" not in output


def test_a_hub_that_is_not_reached_is_said(monkeypatch):
    monkeypatch.setattr("fastvlm.planning.hub.list_files", lambda identity, revision: None)
    with pytest.raises(UserError, match=f"^{ID}: the hub cannot be reached .* leave out --ask-hub$"):
        ask(ID, None)
