"""Text flows into its column: every token whole or cut at the column's edge, none over another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.errors import UserError
from fastvlm.figures import gallery
from fastvlm.figures.flow import flow
from tests.finished_tables import write_finished

tokens = st.lists(st.tuples(st.text(alphabet="ab \n.", max_size=14), st.sampled_from(["accepted", "corrected"])), max_size=30)


@given(tokens, st.integers(3, 40))
def test_nothing_is_lost_and_nothing_overlaps(tokens, width):
    lines = flow(tokens, width, 10**6)
    for line in lines:
        ends = [span.column + len(span.text) for span in line]
        assert all(end <= width for end in ends)
        assert all(span.column >= end for span, end in zip(line[1:], ends, strict=False))
        assert all(span.text and not any(letter.isspace() for letter in span.text) for span in line)
    said = [(letter, span.role) for line in lines for span in line for letter in span.text]
    assert said == [(letter, role) for piece, role in tokens for letter in piece if not letter.isspace()]


@given(tokens, st.integers(15, 40))
def test_words_that_fit_are_not_broken(tokens, width):
    text = "".join(piece for piece, _ in tokens)
    words = [word for word in text.split() if len(word) <= width]
    drawn = []
    for line in flow(tokens, width, 10**6):
        letters = [" "] * width
        for span in line:
            letters[span.column : span.column + len(span.text)] = span.text
        drawn += "".join(letters).split()
    assert all(drawn.count(word) >= words.count(word) for word in words)


@given(tokens, st.integers(3, 40), st.integers(1, 3))
def test_a_long_text_is_cut_and_says_so(tokens, width, most):
    whole, cut = flow(tokens, width, 10**6), flow(tokens, width, most)
    assert len(cut) == min(len(whole), most)
    assert cut[-1][-1].text == "\u2026" if len(whole) > most else cut == whole
    assert all(span.column + len(span.text) <= width for span in cut[-1])


def test_every_token_of_the_gallery_is_drawn_in_the_look_of_its_role(tmp_path):
    figure = gallery.figure(write_finished(tmp_path, examples=4))
    [axis] = figure.axes
    texts = [text.get_text() for text in axis.texts]
    assert {"llava-small", "scenes-caption", "scenes-description", "accepted draft"} <= set(texts)
    assert len(axis.images) == 4
    looks = {(patch.get_facecolor(), patch.get_edgecolor(), patch.get_linestyle()) for patch in axis.patches}
    assert len(looks) == 5


def test_boxes_stay_on_the_page_and_apart(tmp_path):
    figure = gallery.figure(write_finished(tmp_path, examples=4))
    boxes = [patch.get_bbox() for patch in figure.axes[0].patches]
    assert all(0 <= box.x0 < box.x1 <= gallery.WIDTH and 0 <= box.y0 < box.y1 <= figure.get_figheight() for box in boxes)
    assert not any(a.overlaps(b) for index, a in enumerate(boxes) for b in boxes[:index])


def test_without_its_file_the_stage_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gallery.json: no such file; run the gallery stage first"):
        gallery.figure(tmp_path)
