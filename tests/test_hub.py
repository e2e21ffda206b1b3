"""Checkpoints of the hub: the real client against the real protocol on loopback, through the command line that a rule runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from huggingface_hub.constants import DOWNLOAD_CHUNK_SIZE as CHUNK
from safetensors.torch import save_file

from fastvlm.imitation.store import fingerprint
from fastvlm.models.checkpoint import checkpoint_files, checkpoint_folder, family_of, weight_files
from fastvlm.models.load import load_target
from fastvlm.models.weights import load_model
from tests import tiny
from tests.loopback_hub import Hub, Repository, serve
from tests.workspace import PROJECT, copy_project, environment

ID = "owner/some-model"
OLD, NEW = "a" * 40, "b" * 40
SHARDED = ("blip2-opt", "blip2-t5")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> dict[str, Path]:
    """family -> folder as it would be published; two in shards, all with files that nobody should fetch."""
    folders = {}
    for family in tiny.FAMILIES:
        folders[family] = tiny.save_checkpoint(tmp_path_factory.mktemp(family), family)
        if family in SHARDED:
            model = load_model(folders[family], torch.float32)
            (folders[family] / WEIGHTS).unlink()
            model.save_pretrained(folders[family], max_shard_size="30KB")
        for name in ("pytorch_model.bin", "README.md", "model.fp16.safetensors", "onnx/model.json"):
            (folders[family] / name).parent.mkdir(exist_ok=True)
            (folders[family] / name).write_bytes(b"not to be fetched")
    return folders


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as served:
        yield served


@pytest.fixture
def fetch(hub, tmp_path):
    """`fastvlm fetch` in a process of its own, as the client reads its environment once: an outcome with code, lines and source."""

    def run(identity: str = ID, revision: str | None = None, cache: Path = tmp_path / "cache", **variables: str) -> SimpleNamespace:
        output = tmp_path / "model"
        shutil.rmtree(output, ignore_errors=True)
        client = {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*", **variables}
        knobs = json.dumps({"id": identity, "revision": revision})
        command = ["fastvlm", "fetch", "--knobs", knobs, "--output", str(output)]
        done = subprocess.run(command, env=environment(PROJECT) | client, capture_output=True, text=True)
        path = output / "source.json"
        source = json.loads(path.read_text()) if path.is_file() else None
        return SimpleNamespace(code=done.returncode, lines=done.stderr.splitlines(), source=source, cache=cache / "hub", output=output)

    return run


def refused(outcome: SimpleNamespace) -> str:
    """The one line of an outcome that must be an error."""
    assert outcome.code == 2 and outcome.source is None
    assert "Traceback" not in "\n".join(outcome.lines)
    (line,) = [line for line in outcome.lines if line.startswith("error: ")]
    return line.removeprefix("error: ")


def sent(hub: Hub) -> set[str]:
    """The files that were asked for."""
    return {path.rsplit("/", 1)[1] for method, path, _ in hub.requests if method == "GET" and "/api/" not in path}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_checkpoint_of_each_family_comes_whole(hub, fetch, published, monkeypatch, family):
    hub.repositories[ID] = Repository({NEW: published[family]})
    outcome = fetch(revision=NEW)
    assert outcome.code == 0, outcome.lines
    assert outcome.lines == [f"{ID}: 0.00 GB to fetch"]
    assert outcome.source["commit"] == outcome.source["revision"] == NEW
    assert sent(hub) == set(outcome.source["files"])
    assert not {"pytorch_model.bin", "README.md", "model.fp16.safetensors", "model.json"} & sent(hub)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(outcome.cache))
    folder = checkpoint_folder(outcome.output)
    assert family_of(folder) == family
    assert (len(weight_files(folder)) > 1) == (family in SHARDED)
    assert fingerprint(outcome.output) == fingerprint(published[family]), "files that are not read do not count"
    assert len(load_target(outcome.output, {"device": "cpu", "dtype": "float32"}).decoder.layers) == tiny.LAYERS
    for ours, theirs in zip(weight_files(folder), weight_files(published[family]), strict=True):
        assert ours.read_bytes() == theirs.read_bytes()


def test_the_newest_is_fetched_with_a_line_that_says_how_to_pin_it(hub, fetch, published):
    hub.repositories[ID] = Repository({OLD: published["blip2-opt"], NEW: published["llava"]})
    outcome = fetch()
    assert outcome.source["commit"] == NEW and outcome.source["revision"] is None
    (line,) = [line for line in outcome.lines if "pinned" in line]
    assert line == f"{ID}: no revision is pinned, and the newest may change; pin what was fetched with `revision: {NEW}`"


def test_a_pinned_revision_is_kept_when_a_newer_one_comes(hub, fetch, published):
    hub.repositories[ID] = Repository({OLD: published["llava"], NEW: published["blip2-opt"]})
    source = fetch(revision=OLD).source
    assert source["commit"] == OLD
    assert source["files"][WEIGHTS] == (published["llava"] / WEIGHTS).stat().st_size


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "a gated repository, and you are not logged in; accept its terms on its page, then `hf auth login` or set HF_TOKEN"),
        (403, "a gated repository, and your account has no access; ask for it on its page, and check whose token HF_TOKEN is"),
    ],
)
def test_a_gated_repository(hub, fetch, published, status, line):
    hub.repositories[ID] = Repository({NEW: published["llava"]}, files_status=status)
    assert refused(fetch()) == f"{ID}: {line}"


def test_a_repository_that_does_not_exist(fetch):
    line = "no such repository on the hub, or a private one that your token does not open; check the id, then HF_TOKEN"
    assert refused(fetch("owner/nothing")) == f"owner/nothing: {line}"


def test_a_revision_that_does_not_exist(hub, fetch, published):
    hub.repositories[ID] = Repository({NEW: published["llava"]})
    assert refused(fetch(revision=OLD)).startswith(f"{ID}: has no revision {OLD}; expected a commit that its page lists")


def test_only_safetensors_are_fetched(hub, fetch, tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    hub.repositories[ID] = Repository({NEW: folder})
    assert refused(fetch()).startswith(f"{ID}: weights only as pytorch_model.bin; expected model.safetensors or its shards: convert it")
    assert not hub.of("pytorch_model.bin")
    (folder / "pytorch_model.bin").unlink()
    assert refused(fetch()).startswith(f"{ID}: no weights; expected model.safetensors")


def test_another_class_is_refused_before_its_weights_come(hub, fetch, published, tmp_path):
    folder = shutil.copytree(published["llava"], tmp_path / "bert")
    (folder / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    hub.repositories[ID] = Repository({NEW: folder})
    line = refused(fetch())
    assert line.startswith(f"{ID}: ") and line.endswith(
        "the checkpoint's class is BertModel; expected LlavaForConditionalGeneration or Blip2ForConditionalGeneration"
    )
    assert not hub.of(WEIGHTS)


def test_a_download_that_is_cut_off_is_taken_up_where_it_stopped(hub, fetch, published, tmp_path):
    folder = shutil.copytree(published["llava"], tmp_path / "large")
    save_file({"large": torch.rand(3 * CHUNK // 4)}, folder / WEIGHTS)  # the client keeps whole chunks only
    hub.repositories[ID] = Repository({NEW: folder}, cut=3 * CHUNK // 2, cuts=1)
    outcome = fetch(revision=NEW)
    assert outcome.code == 0, outcome.lines
    assert [range_ for method, range_ in hub.of(WEIGHTS) if method == "GET" and range_] == [f"bytes={CHUNK}-"]
    assert (outcome.cache / f"models--owner--some-model/snapshots/{NEW}/{WEIGHTS}").read_bytes() == (folder / WEIGHTS).read_bytes()


def test_files_that_are_complete_are_kept_when_a_fetch_is_run_again(hub, fetch, published):
    hub.repositories[ID] = Repository({NEW: published["llava"]}, lost=frozenset([WEIGHTS]))
    line = refused(fetch(revision=NEW))
    assert line.startswith(f"{ID}: 404 Client Error") and f"(fetching {WEIGHTS}); expected a checkpoint" in line
    hub.repositories[ID] = Repository({NEW: published["llava"]})
    hub.requests.clear()
    assert fetch(revision=NEW).code == 0
    assert sent(hub) == {WEIGHTS}


def test_offline_with_a_warm_cache_and_with_a_cold_one(hub, fetch, published, tmp_path):
    hub.repositories[ID] = Repository({NEW: published["blip2-t5"]})
    online = fetch()
    hub.requests.clear()
    for asked in (None, NEW):
        offline = fetch(revision=asked, HF_HUB_OFFLINE="1")
        assert offline.source == online.source | {"revision": asked}
        assert f"{ID}: the hub cannot be reached; what the cache holds, {NEW}, is used" in offline.lines
    assert not hub.requests
    line = refused(fetch(cache=tmp_path / "cold", HF_HUB_OFFLINE="1"))
    assert line.startswith(
        f"{ID}: the hub cannot be reached (no network, or HF_HUB_OFFLINE is set), and revision main is not in the cache; fetch"
    )
    (online.cache / f"models--owner--some-model/snapshots/{NEW}" / weight_files(published["blip2-t5"])[-1].name).unlink()
    assert "the hub cannot be reached, and the cache does not hold all of it" in refused(fetch(HF_HUB_OFFLINE="1"))


def test_no_network_and_a_hub_that_is_down(hub, fetch, published, tmp_path):
    hub.repositories[ID] = Repository({NEW: published["llava"]})
    assert fetch().code == 0
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert fetch(**nowhere).source["commit"] == NEW
    assert "the hub cannot be reached" in refused(fetch(cache=tmp_path / "cold", **nowhere))
    hub.down = True
    assert fetch().source["commit"] == NEW
    assert "the hub cannot be reached" in refused(fetch(cache=tmp_path / "cold"))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a file system of a chosen size can be mounted by root only, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("claimed", "line"),
    [
        (None, "GB are to be fetched, but"),
        (1, f"the disk is full (fetching {WEIGHTS}); make room, or set HF_HOME to a folder on a larger disk, then run it again"),
    ],
)
def test_a_full_disk(hub, fetch, published, tmp_path, claimed, line):
    """Said before where the hub tells the size, and else when it happens."""
    hub.repositories[ID] = Repository({NEW: published["llava"]}, claimed_bytes=claimed)
    texts = sum(file.stat().st_size for file in published["llava"].glob("*.json"))
    with small_disk(tmp_path / "disk", texts + 64 * 1024) as disk:
        said = refused(fetch(cache=disk))
    assert said.startswith(f"{ID}: ") and line in said


def test_what_is_there_already_needs_no_room(hub, fetch, published, tmp_path):
    hub.repositories[ID] = Repository({NEW: published["llava"]})
    needed = sum(file.stat().st_size for file in checkpoint_files(published["llava"]))
    with small_disk(tmp_path / "disk", needed + 128 * 1024) as disk:
        assert [fetch(cache=disk).code for _ in range(2)] == [0, 0]


def test_snakemake_fetches_and_a_folder_that_is_absent_is_one_line(hub, published, tmp_path):
    hub.repositories[ID] = Repository({NEW: published["llava"]})
    project = copy_project(tmp_path)
    smoke = yaml.safe_load((project / "config/smoke.yaml").read_text()) | {"ablations": None}
    source = "results/hub/models/given/source.json"

    def run(**model: object) -> tuple[int, str]:
        (project / "hub.yaml").write_text(yaml.safe_dump(smoke | {"experiment": "hub", "models": {"given": model}}))
        variables = environment(project) | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "cache"), "NO_PROXY": "*"}
        command = ["snakemake", source, "--configfile", "hub.yaml"]
        done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    code, output = run(source="hub", id=ID, revision=NEW)
    assert code == 0 and json.loads((project / source).read_text())["commit"] == NEW, output
    code, output = run(source="folder", path="nowhere")
    assert code != 0 and "error: nowhere: no such folder; expected that of a checkpoint" in output and "Traceback" not in output
