"""Token F1 by hand: 2 * shared / (words of the text + words of the reference)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.errors import UserError
from fastvlm.metrics.overlap import token_f1, tokens


@pytest.mark.parametrize(
    ("text", "references", "expected"),
    [
        ("a red circle", ["A red circle."], 1.0),
        ("a red circle", ["a blue square"], 1 / 3),
        ("red red red", ["red"], 2 / 4),
        ("red", ["red red red"], 2 / 4),
        ("circle red a", ["a red circle"], 1.0),
        ("green", ["a red circle"], 0.0),
        ("a red circle", ["blue", "red circle", ""], 4 / 5),
        ("x = -1 or x = -5", ["-1<AND>-5"], 4 / 7),
        ("-1 and -5", ["-1 <AND> -5"], 4 / 5),
        ("don't", ["dont"], 1.0),
        ("", ["red"], 0.0),
        ("...", ["red"], 0.0),
        ("red", [""], 0.0),
        ("", [""], 1.0),
        ("!", ["?"], 1.0),
        ("Straße", ["STRASSE"], 1.0),
        ("кошка, чёрная", ["Чёрная кошка!"], 1.0),
        ("“नीला घर”", ["नीला घर।"], 1.0),
        ("赤い円", ["赤い四角"], 4 / 7),
        ("猫。", ["猫"], 1.0),
        ("\uff43\uff41\uff54", ["cat"], 1.0),
        ("5 $", ["5"], 1.0),
    ],
)
def test_the_best_reference_counts(text, references, expected):
    assert token_f1(text, references) == pytest.approx(expected, abs=1e-12)


def test_and_is_a_space_and_not_a_word():
    assert tokens("north<AND>South") == ["north", "south"]


def test_no_reference_is_refused():
    with pytest.raises(UserError, match="found no reference"):
        token_f1("red", [])


@given(st.text(max_size=20), st.text(max_size=20))
def test_it_is_symmetric_and_between_0_and_1(text, reference):
    score = token_f1(text, [reference])
    assert 0 <= score <= 1
    assert score == token_f1(reference, [text])
    assert token_f1(text, [text]) == 1
