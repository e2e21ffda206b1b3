"""Only a finished experiment is published, and whole."""

import pytest
from PIL import Image

from fastvlm.errors import UserError
from fastvlm.figures import FIGURES
from fastvlm.publish import TABLES, publish


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """A finished experiment named `tiny` in the working directory; returns the folder of its copies."""
    monkeypatch.chdir(tmp_path)
    results, figures = tmp_path / "results/tiny", tmp_path / "figures/tiny"
    (results / "models/llava").mkdir(parents=True)
    figures.mkdir(parents=True)
    for name in (*TABLES, "learning_curve", "seeing"):
        (results / f"{name}.csv").write_text(name)
    for name in ("headline.json", "provenance.json", "models/llava/learning_curve.csv"):
        (results / name).write_text(name)
    for name in FIGURES:
        Image.new("RGBA", (8, 6), "teal").save(figures / f"{name}.png")
        (figures / f"{name}.pdf").write_bytes(b"pdf")
    return tmp_path / "docs/results/tiny"


def test_tables_pngs_and_headline_are_copied_and_nothing_else(experiment):
    publish("tiny")
    tables = {f"{name}.csv" for name in (*TABLES, "learning_curve", "seeing")}
    assert {path.name for path in experiment.iterdir()} == tables | {f"{name}.png" for name in FIGURES} | {
        "headline.json",
        "provenance.json",
    }
    assert (experiment / "speedup.csv").read_text() == "speedup"
    with Image.open(experiment / "limits.png") as figure:
        assert figure.mode == "P" and figure.size == (8, 6)
        assert figure.convert("RGB").getpixel((3, 3)) == (0, 128, 128)


def test_publishing_again_leaves_nothing_of_the_last_time(experiment):
    publish("tiny")
    (experiment / "old.csv").write_text("old")
    publish("tiny")
    assert not (experiment / "old.csv").exists()
    assert [path.name for path in experiment.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    "missing",
    ["results/tiny/quality.csv", "results/tiny/headline.json", "figures/tiny/accepted_length.png", "results/tiny/learning_curve.csv"],
)
def test_an_unfinished_experiment_is_refused_and_the_last_copy_stays(experiment, tmp_path, missing):
    publish("tiny")
    (tmp_path / missing).unlink()
    with pytest.raises(UserError, match=f"experiment 'tiny' is not finished: {missing} is missing"):
        publish("tiny")
    assert (experiment / "headline.json").exists()


def test_an_experiment_that_trains_nothing_has_no_learning_curve(experiment, tmp_path):
    for path in ("results/tiny/models/llava/learning_curve.csv", "results/tiny/learning_curve.csv", "figures/tiny/learning_curve.png"):
        (tmp_path / path).unlink()
    publish("tiny")
    assert not (experiment / "learning_curve.png").exists()


def test_ablations_are_published_where_they_were_asked_for(experiment, tmp_path):
    (tmp_path / "results/tiny/ablations.csv").write_text("ablations")
    Image.new("RGBA", (8, 6)).save(tmp_path / "figures/tiny/ablations.png")
    publish("tiny")
    assert (experiment / "ablations.csv").exists() and (experiment / "ablations.png").exists()
