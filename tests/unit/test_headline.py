"""The headline says what the tables say, at the setting that validation chose."""

import json

import pytest

from fastvlm.errors import UserError
from fastvlm.headline import write_headline
from fastvlm.readme import _remarks, render
from fastvlm.table_file import read_table, write_table
from tests.finished_tables import DATASETS, write_finished


@pytest.fixture
def finished(tmp_path):
    return write_finished(tmp_path)


def headline(finished):
    write_headline({"confidence": 0.95}, finished, finished / "headline.json")
    return json.loads((finished / "headline.json").read_text())


def test_every_number_is_the_table_s_at_the_selected_setting(finished):
    said = headline(finished)
    tables = {name: read_table(finished / f"{name}.csv") for name in ("speedup", "acceptance", "selection")}
    assert list(said["models"]["llava-small"]) == list(DATASETS)
    for chosen in tables["selection"]:
        at = said["models"]["llava-small"][chosen["dataset"]]["methods"][chosen["method"]]
        assert (at["exit_layer"], at["draft_length"]) == (chosen["exit_layer"], chosen["draft_length"])
        columns = ("dataset", "method", "exit_layer", "draft_length")
        speed, rate = (next(r for r in tables[t] if all(r[c] == chosen[c] for c in columns)) for t in ("speedup", "acceptance"))
        assert at["decode_speedup"] == {
            "value": speed["decode_speedup"],
            "low": speed["decode_speedup_low"],
            "high": speed["decode_speedup_high"],
        }
        assert at["e2e_speedup"]["value"] == speed["e2e_speedup"]
        assert at["acceptance_rate"]["high"] == rate["acceptance_rate_high"]
        assert at["tokens_per_target_pass"] == rate["tokens_per_target_pass"]
        assert (at["equal_to_baseline"], at["bleu_4"]) == (1, 0.61)


def test_of_texts_that_are_drawn_the_readme_says_how_they_are_equal():
    drawn = {"equal_to_baseline": None, "claim": "equal in distribution"}
    places = {"scenes-caption": {"methods": {"ssd": drawn, "exit-only": drawn | {"claim": "lossy"}}}}
    assert _remarks(places) == ["Texts are drawn: they are plain decoding's in distribution, but for those of `exit-only`."]
    places["scenes-caption"]["methods"].pop("exit-only")
    assert _remarks(places) == ["Texts are drawn: they are plain decoding's in distribution."]


def test_plain_decoding_over_generate_is_the_inverse_with_its_ends_turned(finished):
    place = headline(finished)["models"]["llava-small"]["scenes-caption"]
    generate, over = place["methods"]["generate"]["decode_speedup"], place["plain_decoder_over_generate"]["decode"]
    assert over["low"] < over["value"] < over["high"]
    assert (over["value"], over["low"]) == pytest.approx((1 / generate["value"], 1 / generate["high"]), rel=1e-5)
    assert 1.9 < over["value"] < 2.5


def test_geometric_means_are_the_table_s(finished):
    said = headline(finished)["geometric_means"]
    records = [record for record in read_table(finished / "geometric_means.csv") if not record["dataset"]]
    assert {(model, method) for model, methods in said.items() for method in methods} == {(r["model"], r["method"]) for r in records}
    for record in records:
        mean = said[record["model"]][record["method"]]
        assert (mean["decode_speedup"]["value"], mean["cells"]) == (record["decode_speedup"], 2)


def test_the_readme_shows_the_means_of_all_methods_and_the_best_rival_in_each_place(finished):
    page = render_after(finished)
    means = headline(finished)["geometric_means"]["llava-small"]
    lines = [line.split(" | ") for line in page.splitlines()]
    shown = {line[0].strip("| `"): line[2:] for line in lines if line[0].startswith("| `")}
    assert shown.keys() == means.keys()
    for method, (decode, end_to_end) in shown.items():
        assert decode.startswith(f"{means[method]['decode_speedup']['value']:.2f} [")
        assert end_to_end.startswith(f"{means[method]['e2e_speedup']['value']:.2f} [")
    places = [line for line in lines if line[0].startswith("| scenes-")]
    assert len(places) == 2 and all(line[-2].startswith("ssd ") for line in places)


def render_after(finished):
    headline(finished)
    return render(finished)


def test_the_run_s_provenance_and_confidence_are_in_it(finished):
    said = headline(finished)
    assert (said["experiment"], said["confidence"]) == ("scenes", 0.95)
    assert said["provenance"] == json.loads((finished / "provenance.json").read_text())
    assert said["provenance"]["python"]


@pytest.mark.parametrize(
    "missing", ["selection.csv", "speedup.csv", "acceptance.csv", "quality.csv", "geometric_means.csv", "provenance.json"]
)
def test_a_missing_file_is_named(finished, missing):
    (finished / missing).unlink()
    with pytest.raises(UserError, match=f"{missing}: no such"):
        headline(finished)
    assert not (finished / "headline.json").exists()


def test_quality_without_the_selected_setting_is_refused(finished):
    records = read_table(finished / "quality.csv")
    write_table(finished / "quality.csv", tuple(records[0]), [record for record in records if record["method"] != "fastvlm"])
    with pytest.raises(UserError, match=r"quality.csv: no line for llava-small/scenes-caption/fastvlm"):
        headline(finished)
