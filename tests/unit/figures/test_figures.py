"""Figures show what the tables hold, in the same bytes each time."""

import pytest
from matplotlib.container import ErrorbarContainer
from PIL import Image

from fastvlm.config import Methods
from fastvlm.errors import UserError
from fastvlm.figures import FIGURES, acceptance_by_context, accepted_length, draw, limits, speedup_by_draft_length, speedup_by_method, style
from fastvlm.selection import keep_selected, read_selection
from fastvlm.table_file import read_table, write_table
from tests.finished_tables import write_finished


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return write_finished(tmp_path_factory.mktemp("finished"))


def selected(finished, table, dataset):
    records = keep_selected(read_table(finished / f"{table}.csv"), read_selection(finished / "selection.csv"))
    return [record for record in records if record["dataset"] == dataset]


@pytest.mark.parametrize("name", FIGURES)
def test_png_and_pdf_in_the_same_bytes_twice(finished, tmp_path, name):
    for folder in ("a", "b"):
        draw(name, finished, tmp_path / folder / f"{name}.png")
    for kind in ("png", "pdf"):
        first, second = ((tmp_path / folder / f"{name}.{kind}").read_bytes() for folder in "ab")
        assert first == second
    with Image.open(tmp_path / f"a/{name}.png") as image:
        assert min(image.size) > 600
        assert round(image.info["dpi"][0]) == 200
    assert {path.name for path in (tmp_path / "a").iterdir()} == {f"{name}.png", f"{name}.pdf"}


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "gallery"])
def test_axes_are_named_and_titles_say_experiment_and_model(finished, name):
    module = __import__(f"fastvlm.figures.{name}", fromlist=["figure"])
    figure = module.figure(finished)
    assert "scenes" in figure.get_suptitle()
    assert figure.axes[0].get_ylabel()
    for axis in figure.axes:
        assert "llava-small" in axis.get_title()
        assert name in ("learning_curve", "limits", "predicted_speedup") or "(12 test images)" in axis.get_title()


def test_lines_and_bands_of_the_speedups_are_the_table_s(finished):
    figure = speedup_by_draft_length.figure(finished)
    records = [r for r in read_table(finished / "speedup.csv") if r["dataset"] == "scenes-caption" and r["draft_length"]]
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    for method, layer in (("ssd", 4), ("ssd", 8), ("fastvlm", 1), ("fastvlm", 2)):
        drawn = lines[f"{method}, exit layer {layer}"]
        wanted = [(r["draft_length"], r["decode_speedup"]) for r in records if (r["method"], r["exit_layer"]) == (method, layer)]
        assert list(zip(*drawn.get_data(), strict=True)) == wanted
    assert len(figure.axes[0].collections) == 4
    chosen = [(r["draft_length"], r["decode_speedup"]) for r in selected(finished, "speedup", "scenes-caption") if r["draft_length"]]
    assert list(zip(*lines["chosen on validation"].get_data(), strict=True)) == chosen


def test_bars_and_printed_values_of_the_methods_are_the_table_s(finished):
    axis = speedup_by_method.figure(finished).axes[1]
    records = selected(finished, "speedup", "scenes-description")
    wanted = [f"{r[span]:.2f}" for span in ("decode_speedup", "e2e_speedup") for r in records]
    assert [text.get_text() for text in axis.texts] == wanted
    heights = [patch.get_height() for patch in axis.patches if patch.get_height()]
    assert heights == [r[span] for span in ("decode_speedup", "e2e_speedup") for r in records]
    assert [label.get_text().split("\n")[0] for label in axis.get_xticklabels()] == ["baseline", "generate", "ssd", "fastvlm"]


def test_a_bin_of_few_drafts_is_hollow_and_off_the_line(finished, tmp_path):
    records = read_table(finished / "acceptance_by_context.csv")
    last = max(record["context_low"] for record in records)
    thinned = [record | ({"drafted": 19} if record["context_low"] == last else {"drafted": 20}) for record in records]
    write_table(tmp_path / "acceptance_by_context.csv", tuple(records[0]), thinned)
    (tmp_path / "selection.csv").write_bytes((finished / "selection.csv").read_bytes())
    axis = acceptance_by_context.figure(tmp_path).axes[0]
    of = [record for record in selected(tmp_path, "acceptance_by_context", "scenes-caption") if record["method"] == "fastvlm"]
    rates = {few: [record["acceptance_rate"] for record in of if (record["drafted"] < 20) == few] for few in (True, False)}
    bars = [bar.lines[0] for bar in axis.containers if isinstance(bar, ErrorbarContainer)]
    assert rates[False] in [list(line.get_ydata()) for line in bars if line.get_linestyle() != "None"]
    assert rates[True] in [list(line.get_ydata()) for line in bars if line.get_markerfacecolor() == "white"]
    assert "hollow: fewer than 20 drafts" in axis.get_legend_handles_labels()[1]


def test_lines_of_the_limits_are_the_table_s_and_one_word_answers_are_ringed(finished, tmp_path):
    records = read_table(finished / "limits.csv")
    quality = [{"dataset": "scenes-caption", "task": "vqa"}, {"dataset": "scenes-description", "task": "description"}]
    write_table(tmp_path / "limits.csv", tuple(records[0]), records)
    write_table(tmp_path / "quality.csv", ("dataset", "task"), quality)
    axis = limits.figure(tmp_path).axes[0]
    pooled = [record for record in records if record["method"] == "fastvlm" and not record["dataset"]]
    drawn = [list(line.get_ydata()) for line in axis.lines]
    assert [record["e2e_speedup"] for record in pooled] in drawn
    assert [record["decode_speedup"] for record in pooled] in drawn
    short = [record for record in records if record["method"] == "fastvlm" and record["dataset"] == "scenes-caption"]
    ringed = [list(line.get_ydata()) for line in axis.lines if line.get_label().startswith("one-word answers")]
    assert [record["e2e_speedup"] for record in short] in ringed
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    assert ticks == [f"{record['tokens_low']}\u2013{record['tokens_high']}\nn={record['examples']}" for record in pooled]


def test_shares_of_accepted_lengths_are_the_table_s_and_fall_from_all_passes(finished):
    records = [record for record in selected(finished, "accepted_length", "scenes-caption") if record["method"] == "fastvlm"]
    passes = sum(record["passes"] for record in records)
    lines = {line.get_label(): list(line.get_ydata()) for line in accepted_length.figure(finished).axes[0].lines}
    for least, share in enumerate(lines["fastvlm"]):
        assert share == pytest.approx(100 * sum(r["passes"] for r in records if r["accepted"] >= least) / passes)
    for shares in lines.values():
        assert shares[0] == pytest.approx(100) and shares == sorted(shares, reverse=True)


def test_every_method_has_a_colour_of_its_own():
    assert len(set(style.METHOD_COLOURS.values())) == len(style.METHOD_COLOURS)
    known = {field.alias or name for name, field in Methods.model_fields.items()}
    assert known <= set(style.METHOD_COLOURS)


def test_settings_of_many_methods_fit_above_a_panel():
    records = [{"method": f"a-method-{n}", "policy": "fixed", "exit_layer": 12, "draft_length": 12} for n in range(9)]
    lines = style.settings(records).split("\n")
    assert len(lines) > 1 and max(map(len, lines)) <= style.SETTINGS_WIDTH
    assert "\n".join(lines).count("exit 12, K = 12") == 9


def test_methods_differ_in_grey_too(finished):
    figure = speedup_by_draft_length.figure(finished)
    looks = [(line.get_marker(), line.get_linestyle(), line.get_markerfacecolor() == "white") for line in figure.axes[0].lines]
    assert len(set(looks)) == len(looks)


def test_an_unknown_figure_is_refused(finished, tmp_path):
    with pytest.raises(UserError, match="no figure 'speed'; expected one of speedup_by_draft_length"):
        draw("speed", finished, tmp_path / "speed.png")


def test_an_empty_table_leaves_no_figure(finished, tmp_path):
    columns = tuple(read_table(finished / "accepted_length.csv")[0])
    write_table(tmp_path / "accepted_length.csv", columns, [])
    (tmp_path / "selection.csv").write_bytes((finished / "selection.csv").read_bytes())
    with pytest.raises(UserError, match="no line to draw"):
        draw("accepted_length", tmp_path, tmp_path / "a.png")
    assert not list(tmp_path.glob("*.p*"))


def test_a_policy_that_drafts_nothing_has_no_line(finished, tmp_path):
    for name in ("acceptance_by_context", "selection"):
        records = read_table(finished / f"{name}.csv")
        kept = [record for record in records if name == "selection" or record["method"] != "fastvlm"]
        write_table(tmp_path / f"{name}.csv", tuple(records[0]), kept)
    drawn = {text.get_text() for text in acceptance_by_context.figure(tmp_path).legends[0].get_texts()}
    assert "ssd" in drawn and "fastvlm" not in drawn
