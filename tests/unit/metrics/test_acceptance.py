"""Counts of drafts against a loop that walks through every pass."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.errors import UserError
from fastvlm.metrics import acceptance
from tests.rows_factory import decode_row, passes


@st.composite
def some_rows(draw):
    rng = random.Random(draw(st.integers(0, 10**6)))
    settings = st.tuples(st.integers(1, 40), st.integers(0, 12), st.floats(0, 1))
    return [
        decode_row(rng, "fastvlm", 1, length, output_tokens=tokens, agreement=agreement)
        for tokens, length, agreement in draw(st.lists(settings, min_size=1, max_size=6))
    ]


def walk(rows):
    """(row, position, context, stands) of every draft, one at a time."""
    for index, row in enumerate(rows):
        for context, drafted, accepted in row["passes"]:
            for j in range(drafted):
                yield index, j, context + j, j < accepted


@given(some_rows())
def test_drafts_are_those_of_the_loop(rows):
    drafts = acceptance.drafts(rows)
    assert list(zip(*(array.tolist() for array in drafts), strict=True)) == list(walk(rows))


@given(some_rows(), st.integers(1, 40))
def test_groups_are_those_of_the_loop(rows, width):
    drafts = acceptance.drafts(rows)
    for groups, key in ((drafts.position, lambda j, context: j), (drafts.context // width, lambda j, context: context // width)):
        drafted, accepted = Counter(), Counter()
        for index, j, context, stands in walk(rows):
            drafted[key(j, context), index] += 1
            accepted[key(j, context), index] += stands
        counted = acceptance.by_group(groups, drafts, len(rows))
        assert list(counted) == sorted({group for group, _ in drafted})
        for group, (of_drafted, of_accepted) in counted.items():
            assert of_drafted.tolist() == [drafted[group, index] for index in range(len(rows))]
            assert of_accepted.tolist() == [accepted[group, index] for index in range(len(rows))]


@given(some_rows())
def test_totals_agree_with_every_view(rows):
    totals, drafts = acceptance.count(rows), acceptance.drafts(rows)
    assert totals.drafted.tolist() == np.bincount(drafts.example, minlength=len(rows)).tolist()
    assert totals.accepted.sum() == drafts.accepted.sum()
    assert totals.target_passes.tolist() == [len(row["passes"]) for row in rows]
    lengths = acceptance.accepted_lengths(rows)
    assert sum(lengths.values()) == totals.target_passes.sum()
    assert sum(length * passes for length, passes in lengths.items()) == totals.accepted.sum()


@given(some_rows(), st.integers(1, 9))
def test_bins_are_few_and_no_wider_than_that_takes(rows, narrowest):
    contexts = [context for _, _, context, _ in walk(rows)] or [0]
    width = acceptance.bin_width([rows], narrowest)
    spanned = {size: max(contexts) // size - min(contexts) // size + 1 for size in (width, width // 2) if size}
    assert spanned[width] <= acceptance.MOST_BINS
    assert width == narrowest or spanned[width // 2] > acceptance.MOST_BINS


def test_long_texts_are_binned_by_twice_the_tokens_until_the_bins_are_few():
    rows = [{"passes": [[context, 1, 1] for context in range(30, 230)]}]
    assert [acceptance.bin_width([[{"passes": []}], rows], narrowest) for narrowest in (8, 16, 20, 40)] == [32, 32, 20, 40]
    assert acceptance.bin_width([], 8) == acceptance.bin_width([[{"passes": []}]], 8) == 8


def test_a_pass_of_three_drafts_of_which_two_stood():
    drafts = acceptance.drafts([{"passes": [[21, 3, 2]]}])
    assert drafts.position.tolist() == [0, 1, 2]
    assert drafts.context.tolist() == [21, 22, 23]
    assert drafts.accepted.tolist() == [True, True, False]


@given(st.integers(1, 60))
def test_plain_decoding_commits_exactly_one_token_a_pass(tokens):
    row = decode_row(random.Random(0), "baseline", None, None, output_tokens=tokens)
    totals = acceptance.count([row])
    assert totals.committed[0] == totals.target_passes[0] == tokens - 1


def test_text_that_ends_inside_the_drafts_is_allowed():
    row = {"method": "ssd", "example": "a", "output_tokens": 4, "passes": [[9, 4, 3]]}
    assert acceptance.count([row]).committed.tolist() == [3]


@pytest.mark.parametrize("tokens", [3, 6])
def test_more_or_fewer_tokens_than_the_passes_committed_are_refused(tokens):
    row = {"method": "ssd", "example": "a", "output_tokens": tokens, "passes": [[9, 4, 3]]}
    with pytest.raises(UserError, match="ssd: example 'a': "):
        acceptance.count([row])


def test_more_accepted_than_drafted_is_refused():
    with pytest.raises(UserError, match="accepted more than was drafted"):
        acceptance.drafts([{"method": "ssd", "example": "a", "passes": [[9, 2, 3]]}])


def test_the_factory_keeps_the_draft_within_the_limit():
    assert passes(random.Random(0), 8, 1.0, 12, prompt=5) == [[5, 8, 8], [14, 1, 1]]
