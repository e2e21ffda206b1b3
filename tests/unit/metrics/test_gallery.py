"""Which token came from where, and the examples that are shown."""

from __future__ import annotations

import json
import random
from base64 import b64decode
from collections import Counter
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastvlm.data.example import read_manifest
from fastvlm.metrics.gallery import write_gallery
from fastvlm.metrics.roles import ACCEPTED, BONUS, CORRECTED, FIRST, UNDRAFTED, roles
from fastvlm.rows import read_rows, write_rows
from fastvlm.selection import read_selection
from tests.finished_tables import write_finished, write_stand_ins
from tests.rows_factory import passes


def test_roles_by_hand():
    # Prefill's token; two of three stand and one is corrected; both stand and a bonus follows; nothing is drafted.
    found = roles([[20, 3, 2], [23, 2, 2], [26, 0, 0]], 8)
    assert found == [FIRST, ACCEPTED, ACCEPTED, CORRECTED, ACCEPTED, ACCEPTED, BONUS, UNDRAFTED]
    # The text ends in the second draft: no token of the full model's stands behind it.
    assert roles([[20, 3, 2]], 3) == [FIRST, ACCEPTED, ACCEPTED]
    assert roles([], 1) == [FIRST]


@given(st.integers(0, 8), st.floats(0, 1), st.integers(1, 60), st.integers(0, 999))
def test_counts_of_the_roles_are_those_of_the_passes(length, agreement, tokens, seed):
    ran = passes(random.Random(seed), length, agreement, tokens, prompt=20)
    counts = Counter(roles(ran, tokens))
    assert counts.total() == tokens and counts[FIRST] == 1
    assert counts[ACCEPTED] == sum(accepted for _, _, accepted in ran)
    assert counts[CORRECTED] == sum(accepted < drafted for _, drafted, accepted in ran)
    assert counts[UNDRAFTED] == sum(not drafted for _, drafted, _ in ran)


@pytest.fixture
def experiment(tmp_path):
    results = write_finished(tmp_path, examples=5)
    rows = [tmp_path / "llava-small" / method / "scenes-caption.jsonl" for method in ("baseline", "fastvlm")]
    return results, rows, [tmp_path / "scenes-caption.jsonl"]


def gallery(results, rows, manifests):
    write_gallery(rows, manifests, results / "selection.csv", results / "gallery.json")
    return json.loads((results / "gallery.json").read_text())


def test_each_text_is_its_row_s_at_the_selected_setting(experiment):
    results, rows, manifests = experiment
    content = gallery(*experiment)
    assert content["experiment"] == "scenes"
    examples = {example.id: example for example in read_manifest(manifests[0], "test")}
    assert [example["example"] for example in content["examples"]] == ["test-0", "test-2"]
    [chosen] = [r for r in read_selection(results / "selection.csv") if (r["dataset"], r["method"]) == ("scenes-caption", "fastvlm")]
    for example in content["examples"]:
        with Image.open(BytesIO(b64decode(example["picture"]))) as image:
            assert image.tobytes() == examples[example["example"]].pixels().tobytes()
        [text] = example["texts"]
        assert (text["exit_layer"], text["draft_length"]) == (chosen["exit_layer"], chosen["draft_length"])
        of = [row for path in rows for row in read_rows(path) if row["example"] == example["example"]]
        [plain] = [row for row in of if row["method"] == "baseline"]
        [ours] = [row for row in of if (row["exit_layer"], row["draft_length"]) == (text["exit_layer"], text["draft_length"])]
        assert [piece for piece, _ in text["tokens"]] == plain["pieces"]
        assert [role for _, role in text["tokens"]] == roles(ours["passes"], ours["output_tokens"])


def test_a_text_that_is_not_plain_decoding_s_has_no_pieces(experiment):
    _, rows, _ = experiment
    write_rows(rows[1], [row | {"equal_to_baseline": row["example"] != "test-0"} for row in read_rows(rows[1])])
    assert [bool(text["tokens"]) for example in gallery(*experiment)["examples"] for text in example["texts"]] == [False, True]


def test_one_word_answers_are_left_out_unless_there_is_nothing_else(experiment):
    results, rows, manifests = experiment
    write_stand_ins(manifests[0], "vqa", 5)
    assert len(gallery(*experiment)["examples"]) == 2
    other = [path.parents[0] / "scenes-description.jsonl" for path in rows]
    content = gallery(results, [*rows, *other], [*manifests, manifests[0].parent / "scenes-description.jsonl"])
    assert {example["dataset"] for example in content["examples"]} == {"scenes-description"}
