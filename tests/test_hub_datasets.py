"""Benchmarks on the hub: the real clients against the real protocol on loopback, through the command line that a rule runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastvlm.data.example import Example, read_manifest
from tests import published_parquet as parquet
from tests.forked_command import Commands, forked_commands
from tests.loopback_hub import Hub, Repository, serve
from tests.official_files import GREEK, HAN, SPLITS, karpathy, nocaps, relevance, visdial, write

ID, OTHER = "owner/some-dataset", "other/the-same"
OLD, NEW = "a" * 40, "b" * 40
PINNED = {"repositories": [{"id": ID, "revision": NEW}]}
TEST = "test-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def commands(served, cache) -> Iterator[Commands]:
    client = {"HF_ENDPOINT": served.url, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
    with forked_commands("fastvlm.data.hub_dataset", "fastvlm.data.dataset", **client) as forked:
        yield forked


@pytest.fixture
def hub(served, cache) -> Hub:
    """The hub without repositories, and its clients without memory: tests publish different files as one commit."""
    shutil.rmtree(cache, ignore_errors=True)
    served.datasets.clear()
    served.moved.clear()
    served.sent.clear()
    served.down = False
    return served


@pytest.fixture
def data(commands, tmp_path):
    """`fastvlm data`: an outcome with code, lines and the folder of what was written."""

    def run(**knobs: Any) -> SimpleNamespace:
        knobs = json.dumps({"source": "hub", **SPLITS, **PINNED, **knobs})
        options = {"--dataset": "own", "--seed": "1", "--knobs": knobs, "--output": "out/own.jsonl"}
        code, lines = commands.run(tmp_path, "data", *chain.from_iterable(options.items()))
        return SimpleNamespace(code=code, lines=lines, folder=tmp_path / "out")

    return run


@pytest.fixture
def publish(hub, tmp_path):
    """Have the hub serve splits of rows under an id."""

    def run(identity: str = ID, commit: str = NEW, group: int = 10, **splits: parquet.Rows) -> Repository:
        hub.datasets[identity] = Repository({commit: parquet.publish(tmp_path / "published" / identity, splits, group)})
        return hub.datasets[identity]

    return run


def examples(outcome: SimpleNamespace, split: str = "test") -> list[Example]:
    assert outcome.code == 0, outcome.lines
    return read_manifest(outcome.folder / "own.jsonl", split)


def source(outcome: SimpleNamespace) -> dict[str, Any]:
    return json.loads((outcome.folder / "own.source.json").read_text())


def refused(outcome: SimpleNamespace) -> str:
    """The one line of an outcome that must be an error, after which no manifest is there."""
    assert outcome.code == 2, outcome.lines
    assert "Traceback" not in "\n".join(outcome.lines)
    assert not (outcome.folder / "own.jsonl").exists() and not (outcome.folder / "own.source.json").exists()
    (line,) = [line for line in outcome.lines if line.startswith("error: ")]
    return line.removeprefix("error: ")


def pictures_are_as_published(outcome: SimpleNamespace, found: list[Example], rows: parquet.Rows, key: Any) -> None:
    """The files hold the published bytes; the manifest gives their paths from where the command ran."""
    published = {str(key(row)): row["image"]["bytes"] for row in rows}
    for example in found:
        assert example.image.startswith("out/own/")
        path = outcome.folder.parent / example.image
        assert path.read_bytes() == published[path.stem]


def test_coco_test_is_karpathys_five_thousand(data, publish):
    rows = parquet.thai_coco(100000, 5000)
    publish(group=500, test=rows, validation=parquet.thai_coco(200000, 20), train=parquet.thai_coco(300000, 20))
    outcome = data(benchmark="coco", karpathy=None, train=0, validation=3, test=7)
    found = examples(outcome)
    assert len(found) == 7 and len(examples(outcome, "validation")) == 3
    assert found[0].references == tuple(f"Caption {n} of {found[0].id[4:]}." for n in range(5))
    pictures_are_as_published(outcome, found, rows, lambda row: row["cocoid"])
    assert source(outcome) == {
        "benchmark": "coco", "source": "hub", "repository": ID, "commit": NEW, "seed": 1, "rows": {"test": 5000, "validation": 20},
        "drawn": {"train": 0, "validation": 3, "test": 7}, "of": {"train": 0, "validation": 20, "test": 5000},
    }  # fmt: skip


def test_a_split_that_is_not_asked_for_is_not_read(hub, data, publish):
    publish(test=parquet.thai_coco(100000, 5000), validation=parquet.thai_coco(200000, 20), train=parquet.thai_coco(300000, 20))
    assert len(examples(data(benchmark="coco", karpathy=None, test=2))) == 2
    assert set(hub.sent) == {TEST}


def test_coco_with_english_captions_beside_korean_ones(data, publish):
    publish(group=500, test=parquet.korean_coco(100000, 5000))
    assert examples(data(benchmark="coco", karpathy=None, test=1))[0].references[0].startswith("Caption 0 of 10")


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (parquet.thai_coco(100000, 4999), "(test): 4999 different images in test, expected Karpathy's 5000"),
        (
            parquet.changed(parquet.thai_coco(1, 3), lambda row: row | {"filename": f"{row['cocoid']:012d}.jpg"}),
            ".jpg, expected COCO_val2014_00000000000",
        ),
        (parquet.thai_coco(1, 3) + parquet.thai_coco(3, 1), "(test), row 3: cocoid 3 occurs twice, expected each once"),
    ],
    ids=["too few", "of 2017", "twice"],
)
def test_coco_that_is_not_karpathys(data, publish, rows, line):
    publish(group=500, test=rows)
    assert line in refused(data(benchmark="coco", karpathy=None))


def test_coco_undivided_needs_karpathys_file(data, publish, tmp_path):
    content = karpathy(5000)
    write(tmp_path, {"dataset_coco.json": content})
    numbers = [image["cocoid"] for image in content["images"] if image["filepath"] == "val2014"]
    publish(group=1000, val=parquet.lmms_coco(numbers), test=parquet.lmms_coco([1, 2]))
    outcome = data(benchmark="coco", karpathy="dataset_coco.json", train=1, validation=2, test=3)
    assert [len(examples(outcome, split)) for split in ("train", "validation", "test")] == [1, 2, 3]
    assert source(outcome)["of"] == {"train": 2, "validation": 2, "test": 5000}
    (outcome.folder / "own.jsonl").unlink()
    (outcome.folder / "own.source.json").unlink()
    line = refused(data(benchmark="coco", karpathy=None))
    assert line == f"{ID} (val): publishes all of val2014 together; expected Karpathy's dataset_coco.json in the key 'karpathy'"


def test_nocaps_with_and_without_domains(data, publish, tmp_path):
    rows = parquet.lmms_nocaps()
    publish(validation=rows)
    outcome = data(benchmark="nocaps", domains=None)
    found = examples(outcome)
    assert [example.tags for example in found] == [()] * 6 and found[0].references[:2] == (GREEK, HAN)
    assert "nocaps: the hub does not publish domains; scores by domain need the official file in the key 'domains'" in outcome.lines
    pictures_are_as_published(outcome, found, rows, lambda row: row["image_id"])
    write(tmp_path, {"nocaps.json": nocaps()})
    assert [example.tags[0] for example in examples(data(benchmark="nocaps", domains="nocaps.json"))][:3] == [
        "in-domain", "near-domain", "out-domain",
    ]  # fmt: skip


def test_visdial_with_and_without_candidates(data, publish, tmp_path):
    rows = parquet.m4_visdial()
    publish(validation=rows)
    outcome = data(benchmark="visdial", dialogues=None, relevance=None, validation=1)
    found = examples(outcome)
    assert len(found) == 20 and not found[0].dialogue.candidates and found[2].dialogue.history[1] == ("question 2", "answer 2")
    assert "visdial: the hub publishes no candidates; ranks need the official file in the key 'dialogues'" in outcome.lines
    assert {example.image.rsplit(".", 1)[1] for example in found} == {"jpg"}
    write(tmp_path, {"visdial.json": visdial(), "dense.json": relevance()})
    found = examples(data(benchmark="visdial", dialogues="visdial.json", relevance="dense.json"))
    assert len(found) == 30 and {len(example.dialogue.candidates) for example in found} == {100}
    assert [example.id for example in found if example.dialogue.relevance] == ["own-185565-01", "own-185566-02", "own-185567-03"]
    pictures_are_as_published(outcome, found, rows, lambda row: int(row["image_path"][-16:-4]))


def test_visdial_whose_official_file_is_of_other_dialogues(data, publish, tmp_path):
    publish(validation=parquet.m4_visdial())
    other = visdial()
    other["data"]["dialogs"][1]["dialog"][4] |= {"answer": 50, "gt_index": 50}
    write(tmp_path, {"visdial.json": other, "two.json": visdial(2)})
    line = refused(data(benchmark="visdial", dialogues="visdial.json", relevance=None))
    assert (
        line
        == f"{ID} (validation), row 185566: round 5 is answered 'answer 5', but in visdial.json 'answer 50'; expected the same dialogue"
    )
    line = refused(data(benchmark="visdial", dialogues="two.json", relevance=None))
    assert line.startswith(f"two.json: nothing for 185567, which {ID} (validation), row 185567 names")


def test_mm_vet(data, publish):
    rows = parquet.lmms_mm_vet()
    publish(test=rows)
    outcome = data(benchmark="mm-vet")
    found = examples(outcome)
    assert [example.tags for example in found] == [("ocr", "math"), ("rec", "spat"), ("rec",)]
    assert "<OR>".join(found[1].references) == rows[1]["answer"] and found[2].references == (HAN,)
    pictures_are_as_published(outcome, found, rows, lambda row: row["question_id"])


def test_llava_wild_whose_split_is_called_train(data, publish):
    publish(train=parquet.lmms_llava_wild())
    found = examples(data(benchmark="llava-wild"))
    assert [(example.tags, example.references) for example in found] == [(("conv",), ("answer 0",)), (("detail",), ("answer 1",)), (("complex",), ("answer 2",))]  # fmt: skip  # noqa: E501
    assert found[2].context == f"context 1 {GREEK}" and found[0].sha256 == found[1].sha256 != found[2].sha256


def test_vqa(data, publish):
    publish(validation=parquet.lmms_vqa())
    outcome = data(benchmark="vqav2", validation=1, test=2)
    (found, _) = examples(outcome)
    assert (found.references, found.tags) == (("yes",) * 7 + ("no",) * 3, ("yes/no",))
    assert source(outcome)["of"] == {"train": 0, "validation": 1, "test": 3}


def test_only_what_is_needed_crosses_the_network(hub, data, publish, tmp_path):
    """Five of 200 rows: of images, no more than the row groups of ten that hold them; of ids, their column."""
    publish(validation=parquet.changed(parquet.lmms_vqa(200), lambda row: row | {"image": parquet.picture(row["question_id"], 64)}))
    assert len(examples(data(benchmark="vqav2", test=5))) == 5
    (whole,) = [file.stat().st_size for file in (tmp_path / "published").rglob("*.parquet")]
    groups = len({(int(example.id.split("-")[1]) - 262148000) // 10 for example in read_manifest(tmp_path / "out/own.jsonl", "test")})
    assert sum(hub.sent.values()) < whole * (groups / 20 + 0.1)
    ranges = [asked for method, asked in hub.of("validation-00000-of-00001.parquet") if method == "GET"]
    assert all(ranges), "a file was asked for whole"


RENAMED = [
    ("nocaps", {"domains": None}, "validation", parquet.lmms_nocaps(), "annotations_captions"),
    ("visdial", {"dialogues": None, "relevance": None}, "validation", parquet.m4_visdial(), "dialog"),
    ("mm-vet", {}, "test", parquet.lmms_mm_vet(), "capability"),
    ("llava-wild", {}, "train", parquet.lmms_llava_wild(), "gpt_answer"),
    ("vqav2", {}, "validation", parquet.lmms_vqa(), "answers"),
    ("coco", {"karpathy": None}, "test", parquet.thai_coco(1, 3), "sentences_raw"),
]


@pytest.mark.parametrize(("benchmark", "knobs", "split", "rows", "column"), RENAMED, ids=[case[0] for case in RENAMED])
def test_a_renamed_column_is_named_with_what_was_found(data, publish, benchmark, knobs, split, rows, column):
    publish(**{split: parquet.changed(rows, lambda row: {("renamed" if name == column else name): row[name] for name in row})})
    line = refused(data(benchmark=benchmark, **knobs))
    assert line.startswith(f"{ID} ({split}): no column {column}; found the columns ")
    assert "renamed" in line


def test_an_id_that_moved_is_followed_and_named(hub, data, publish):
    publish(OTHER, test=parquet.lmms_mm_vet())
    hub.moved[ID] = OTHER
    outcome = data(benchmark="mm-vet")
    assert len(examples(outcome)) == 3
    assert f"{ID}: has moved to {OTHER}; name that in the configuration" in outcome.lines
    assert source(outcome)["repository"] == OTHER


def test_the_first_that_answers_is_read(data, publish):
    publish(OTHER, test=parquet.lmms_mm_vet())
    outcome = data(benchmark="mm-vet", repositories=[{"id": ID, "revision": NEW}, {"id": OTHER, "revision": None}])
    assert len(examples(outcome)) == 3
    assert any(line.startswith(f"{ID}: no such repository on the hub") for line in outcome.lines)
    assert f"reading {OTHER} at commit {NEW}" in outcome.lines
    assert f"{OTHER}: no revision is pinned, and the newest may change; pin this one with `revision: {NEW}`" in outcome.lines


def test_none_that_answers(hub, data, publish):
    publish(OTHER, test=parquet.lmms_mm_vet()).files_status = 403
    line = refused(data(benchmark="mm-vet", repositories=[{"id": ID, "revision": None}, {"id": OTHER, "revision": NEW}]))
    assert line.startswith(
        f"{ID}: no such repository on the hub, or a private one that your token does not open; check the id, then HF_TOKEN; "
    )
    assert line.endswith(
        f"{OTHER}: a gated repository, and your account has no access; ask for it on its page, and check whose token HF_TOKEN is"
    )
    hub.down = True
    assert refused(data(benchmark="mm-vet")).startswith(f"{ID}: the hub answered 503")


def test_a_revision_that_does_not_exist(data, publish):
    publish(test=parquet.lmms_mm_vet())
    line = refused(data(benchmark="mm-vet", repositories=[{"id": ID, "revision": OLD}]))
    assert line.startswith(f"{ID}: has no revision {OLD}; expected a commit that its page lists")


def test_a_pinned_revision_is_read_where_there_is_a_newer_one(hub, data, publish, tmp_path):
    publish(commit=OLD, test=parquet.lmms_mm_vet())
    hub.datasets[ID].commits[NEW] = parquet.publish(tmp_path / "newer", {"test": parquet.lmms_mm_vet()[:1]})
    outcome = data(benchmark="mm-vet", repositories=[{"id": ID, "revision": OLD}])
    assert len(examples(outcome)) == 3 and source(outcome)["commit"] == OLD


def test_a_repository_with_a_loading_script(hub, data, publish):
    repository = publish(test=parquet.lmms_mm_vet())
    (repository.commits[NEW] / "some-dataset.py").write_text("raise SystemExit")
    line = refused(data(benchmark="mm-vet"))
    assert line.startswith(f"{ID}: asking for its splits failed (Dataset scripts are no longer supported, but found some-dataset.py); ")
    assert "pin as `revision` the commit of this one's branch refs/convert/parquet" in line


def test_another_split_than_expected(data, publish):
    publish(train=parquet.lmms_mm_vet(), validation=parquet.lmms_mm_vet())
    assert refused(data(benchmark="mm-vet")) == f"{ID}: found the splits train, validation; expected test"


def test_files_that_are_not_parquet(data, publish):
    repository = publish(test=parquet.lmms_mm_vet())
    (repository.commits[NEW] / "data" / TEST).unlink()
    (repository.commits[NEW] / "data/test.jsonl").write_text('{"question_id": 1}\n')
    assert refused(data(benchmark="mm-vet")) == f"{ID} (test): published as test.jsonl, expected Parquet files"


def test_a_parquet_file_that_is_none(data, publish):
    repository = publish(test=parquet.lmms_mm_vet())
    (repository.commits[NEW] / "data" / TEST).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert refused(data(benchmark="mm-vet")).startswith(f"{ID} (test): opening its files failed (")


def cut(row):
    content = row["image"]["bytes"]
    return row | {"image": {"bytes": content[: len(content) // 2], "path": "x.png"}}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda row: row | {"image": {"bytes": None, "path": "x.png"}},
            "row v1_0: no bytes of an image; expected a repository that holds its images",
        ),
        (lambda row: row | {"image": {"bytes": b"<html>", "path": "x.png"}}, "row v1_0: image: not an image that can be decoded ("),
        (cut, "out/own/v1_0.png: not an image that can be decoded ("),
        (lambda row: row | {"answer": ""}, "row v1_0.answer: empty, expected text"),
        (lambda row: row | {"capability": 3}, "row v1_0.capability: found int, expected text"),
    ],
    ids=["no bytes", "no image", "truncated", "empty", "type"],
)
def test_bad_rows_are_named(data, publish, change, line):
    publish(test=parquet.changed(parquet.lmms_mm_vet(), change))
    assert line in refused(data(benchmark="mm-vet"))
