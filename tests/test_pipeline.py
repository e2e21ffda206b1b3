"""The smoke experiment through the real DAG: every stage from drawn scenes to figures, twice with one seed."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastvlm.data.example import read_manifest
from fastvlm.decoding import autoregressive, speculative
from fastvlm.decoding.drafters import EarlyExit
from fastvlm.decoding.policies import Fixed
from fastvlm.decoding.skipping import load_skips
from fastvlm.imitation.store import load_drafter
from fastvlm.methods import DRAFTING, TUNED
from fastvlm.models.load import load_target
from fastvlm.tables import COLUMNS
from tests.untimed import FITTED, content, read_table, untimed
from tests.workspace import copy_project, planned, run, start

SMOKE = "config/smoke.yaml"
RESULTS = "results/smoke"
MODELS = ("llava-tiny", "blip2-opt-tiny", "blip2-t5-tiny")
# Which setting is fastest is itself a timing, and so is what is shown at that setting alone.
FOLLOWS_TIME = {"selection.csv", "policies.csv", "ceiling.csv", "comparison.csv", "limits.csv", "geometric_means.csv", "ranks.csv"}
FOLLOWS_DECODING = {
    "decode",
    "select",
    "tables",
    "quality",
    "compare",
    "limits",
    "means",
    "gallery",
    "policies",
    "ceiling",
    "headline",
    "all",
}


# A run that says at its end which timers its scheduler left.
WATCHED = """
include: "Snakefile"

onsuccess:
    import threading
    print("timers:", sum(isinstance(thread, threading.Timer) for thread in threading.enumerate()))
"""


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Two copies in which the experiment ran, side by side on a core each."""
    folders = [copy_project(tmp_path_factory.mktemp("project")) for _ in range(2)]
    # Each is read while it runs: one whose pipe is full would wait for the other's end.
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda folder: run(folder, "snakemake", "--cores", "1", "--configfile", SMOKE), folders))
    for code, output in ended:
        assert code == 0, output[-5000:]
    return folders


def test_every_table_and_figure_is_there(projects):
    results = projects[0] / RESULTS
    tables = {path.stem for path in results.glob("*.csv")}
    assert tables >= {
        *COLUMNS,
        "selection",
        "seeing",
        "quality",
        "quality_by_tag",
        "quality_change",
        "ranking",
        "chance",
        "comparison",
        "limits",
        "policies",
        "ceiling",
        "geometric_means",
        "ranks",
        "network_seeds",
    }
    figures = [path for path in (projects[0] / "figures/smoke").iterdir() if path.stem != "ablations"]
    assert len(figures) == 18 and all(path.stat().st_size > 1000 for path in figures)
    assert (results / "headline.json").is_file()
    assert not list(projects[0].glob("results/**/*.partial"))


def test_greedy_texts_are_equal_to_the_baseline(projects):
    rows = read_table(projects[0] / RESULTS / "speedup.csv")
    assert {row["method"] for row in rows} == {"baseline", "generate", *TUNED}
    assert {row["method"] for row in rows if row["claim"] == "lossy"} == {"exit-only"}
    assert {row["method"] for row in rows if row["claim"] == "lossless, own backbone"} == {"ssd-joint", "layerskip"}
    assert {float(row["equal_to_baseline"]) for row in rows if row["claim"] != "lossy"} == {1.0}
    assert {row["policy"] for row in rows if row["method"] in ("ssd", "ssd-joint", "draft-verify", "fastvlm")} == {"fixed", *FITTED}


@pytest.mark.parametrize("model", MODELS)
def test_trained_models_and_networks_are_lossless(projects, model):
    """The law on what was trained and searched: every exit layer, all that draft with a model, K in 1 to 8; hypothesis draws the cases."""
    folder = projects[0] / RESULTS / "models" / model
    target = load_target(folder, {"device": "cpu", "dtype": "float32"})
    networks = [projects[0] / RESULTS / "imitation" / model / f"transformer-exit{exit_layer}" for exit_layer in (1, 2)]
    drafters = [*(EarlyExit(exit_layer) for exit_layer in (1, 2, 3)), *(load_drafter(network, target, folder) for network in networks)]
    drafters.append(load_skips(projects[0] / RESULTS / "skips" / model / "skips.json", target, folder))
    examples = read_manifest(projects[0] / RESULTS / "data/scenes-description.jsonl", "test")

    @settings(max_examples=40)
    @given(st.sampled_from(examples), st.sampled_from(drafters), st.integers(1, 8), st.integers(1, 60))
    def holds(example, drafter, draft_length, limit):
        prefix = target.prefill(target.prepare(example), limit, {drafter.exit_layer})
        ends = {"limit": limit, "end_tokens": target.end_tokens}
        expected = autoregressive.decode(target.decoder, prefix, **ends).tokens
        assert speculative.decode(target.decoder, drafter, prefix, policy=Fixed(draft_length), **ends).tokens == expected

    holds()


def test_nothing_runs_again(projects):
    assert planned(projects[0], SMOKE) == {}


def test_a_comment_runs_nothing_again(projects):
    for path in [*(projects[0] / "fastvlm").rglob("*.py"), *(projects[0] / "workflow/rules").glob("*.smk")]:
        path.write_text(path.read_text() + "\n# A comment.\n")
    assert planned(projects[0], SMOKE) == {}


def test_one_more_draft_length_runs_decoding_and_what_follows(projects):
    config = projects[0] / "longer.yaml"
    config.write_text((projects[0] / SMOKE).read_text().replace("draft_lengths: [1, 4]", "draft_lengths: [1, 2, 4]"))
    rules = planned(projects[0], "longer.yaml")
    assert {rule for rule in rules if not rule.startswith("figure_")} == FOLLOWS_DECODING
    # Three models, methods that draft, the oracle in FastVLM's job; baseline, generate and exit-only know no draft length.
    assert rules["decode"] == 3 * (len(DRAFTING) - 1)


def test_one_seed_gives_the_same_bytes_but_for_timings(projects):
    first, second = (folder / RESULTS for folder in projects)
    names = sorted(path.name for path in first.glob("*.csv"))
    assert names == sorted(path.name for path in second.glob("*.csv"))
    for name in names:
        if name not in FOLLOWS_TIME:
            assert untimed(first / name) == untimed(second / name), name
    for model in MODELS:
        for folder in (f"models/{model}", f"finetuned/{model}/ssd-joint", f"finetuned/{model}/layerskip"):
            for path in ("model.safetensors", "tokenizer.json"):
                assert (first / folder / path).read_bytes() == (second / folder / path).read_bytes()
        for path in ("skips.json", "trials.csv"):
            assert (first / "skips" / model / path).read_bytes() == (second / "skips" / model / path).read_bytes()


@pytest.mark.parametrize(
    ("target", "sign"),
    [
        ("models/llava-tiny/model.safetensors", "models/llava-tiny/.checkpoint/state.pt"),
        ("skips/llava-tiny/skips.json", "skips/llava-tiny/.checkpoint/trials.jsonl"),
        ("imitation/llava-tiny/transformer-exit1/network.safetensors", "imitation/llava-tiny/transformer-exit1/.checkpoint/state.pt"),
        ("finetuned/llava-tiny/ssd-joint/model.safetensors", "finetuned/llava-tiny/ssd-joint/.checkpoint/state.pt"),
        ("decode/llava-tiny/ssd/scenes-caption.jsonl", "decode/llava-tiny/ssd/.journal/scenes-caption-*.journal"),
    ],
    ids=["training", "searching", "distilling", "fine-tuning", "decoding"],
)
def test_a_stage_killed_in_the_middle_goes_on_to_the_same_result(projects, target, sign):
    """SIGKILL once there is something to lose: what has its final name is whole, and the next run ends where an undisturbed one does."""
    results = projects[1] / RESULTS
    expected = content(results / target)
    (results / target).unlink()
    shutil.rmtree((results / target).parent / ".journal", ignore_errors=True)
    command = ("snakemake", f"{RESULTS}/{target}", "--cores", "1", "--configfile", SMOKE)
    with start(projects[1], *command) as first:
        while not list(results.glob(sign)) and first.poll() is None:
            time.sleep(0.005)
        first.kill()
    assert not (results / target).exists() or content(results / target) == expected
    code, output = run(projects[1], *command)
    assert code == 0, output
    assert content(results / target) == expected


def test_no_timer_of_snakemake_works_beside_timed_jobs(tmp_path):
    project = copy_project(tmp_path)
    (project / "watched.smk").write_text(WATCHED)
    targets = [f"{RESULTS}/data/scenes-{task}.jsonl" for task in ("vqa", "caption")]
    code, output = run(project, "snakemake", *targets, "--snakefile", "watched.smk", "--cores", "1", "--configfile", SMOKE)
    assert code == 0, output
    assert "timers: 0" in output


def test_report_is_made_offline(projects):
    code, output = run(projects[1], "snakemake", "--configfile", SMOKE, "--report", "report.html")
    assert code == 0, output
    assert "Speed-up" in (projects[1] / "report.html").read_text()


def test_ablations_killed_half_way_keep_finished_cells_and_end_as_undisturbed_ones(projects):
    command = ("snakemake", "ablations", "--cores", "1", "--configfile", SMOKE)
    undisturbed = start(projects[0], *command)
    cells = projects[1] / RESULTS / "ablations/llava-tiny"
    with start(projects[1], *command) as first:
        while not networks_in_use(cells) and first.poll() is None:
            time.sleep(0.01)
        first.kill()
    finished = {path: path.stat().st_mtime_ns for path in networks_in_use(cells)}
    code, output = run(projects[1], *command)
    assert code == 0, output
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    output, _ = undisturbed.communicate()
    assert undisturbed.returncode == 0, output
    tables = [folder / RESULTS / "ablations.csv" for folder in projects]
    assert untimed(tables[0]) == untimed(tables[1])
    # Of the five values two have a network of their own; the experiment distils the others for itself.
    values = [name for name in ("both", "cross-entropy", "1", "2", "mlp") for _ in range(2)]
    assert [row["value"] for row in read_table(tables[0])] == values
    assert sorted(path.parent.name for path in cells.glob("*/network.safetensors")) == ["loss_cross-entropy", "network_mlp"]
    assert (projects[0] / "figures/smoke/ablations.png").is_file()
    assert planned(projects[0], SMOKE) == {}


def networks_in_use(cells):
    """Those that are decoded with: a job that was killed while it wrote its last file is not finished, whatever it wrote before."""
    return [path for path in cells.glob("*/network.safetensors") if (path.parent / "decode").exists()]
