"""The expected values are worked out by hand from the script's rules and table, which `fastvlm/metrics/vqa.py` names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastvlm.errors import UserError
from fastvlm.metrics.vqa import CONTRACTIONS, PUNCTUATION, accuracy, normalise, script_accuracy

NUMBERS = [
    ("none", "0"), ("Zero", "0"), ("one", "1"), ("two", "2"), ("Three", "3"), ("FOUR", "4"), ("five", "5"), ("six", "6"),
    ("seven", "7"), ("eight", "8"), ("nine", "9"), ("ten", "10"), ("eleven", "eleven"), ("twenty one", "twenty 1"),
    ("twenty-one", "twenty 1"), ("oneself", "oneself"), ("one.", "1"), ("two dogs", "2 dogs"), ("no one", "no 1"), ("0ne", "0ne"),
]  # fmt: skip
ARTICLES = [
    ("a", ""), ("the", ""), ("An apple", "apple"), ("the cat", "cat"), ("THE Cat", "cat"), ("on the left", "on left"),
    ("a b c", "b c"), ("another", "another"), ("the the the", ""), ("a/c", "c"), ("vitamin a.", "vitamin"), ("theatre", "theatre"),
]  # fmt: skip
CONTRACTED = [
    ("dont", "don't"), ("don't", "don't"), ("Dont", "don't"), ("isnt", "isn't"), ("its", "its"), ("cant", "can't"), ("wont", "won't"),
    ("lets", "lets"), ("let's", "let's"), ("im", "im"), ("Im", "im"), ("ive", "ive"), ("youre", "you're"), ("oclock", "o'clock"),
    ("12 oclock", "12 o'clock"), ("maam", "ma'am"), ("twas", "'twas"), ("hes", "he's"), ("shes", "shes"), ("wed", "wed"), ("shed", "shed"),
    ("ill", "ill"), ("somebody'd", "somebodyd"), ("somebodyd", "somebodyd"), ("couldnt've", "couldn't've"), ("couldn'tve", "couldn't've"),
    ("couldntve", "couldntve"), ("'ow'sat", "'ow's'at"), ("y'allll", "y'all'll"), ("yall'd've", "y'all'd've"), ("dont.", "don't"),
    ("whos there", "who's there"), ("girl's", "girl's"), ("girls'", "girls'"), ("don\u2019t", "don\u2019t"),
]  # fmt: skip
PUNCTUATED = [
    ("red, white", "red white"),  # A comma beside a space becomes nothing.
    ("red,white", "red white"),  # Elsewhere it becomes a space.
    ("red ,white", "red white"),
    ("red, white,blue", "red whiteblue"),  # One comma beside a space takes the space from all.
    ("100,978", "100978"),
    ("1,000,000", "1000000"),
    ("1,000-2,000", "10002000"),  # A comma between digits takes the space from every mark.
    ("$1,000", "$1000"),  # The dollar is no mark of the list.
    ("3,a", "3"),
    ("yes!", "yes"),
    ("what?!", "what"),
    ("t-shirt", "t shirt"),
    ("t - shirt", "t shirt"),
    ("x-ray, yes", "x ray yes"),
    ("black/white", "black white"),
    ("black / white", "black white"),
    ("black /white", "black white"),
    ("(left)", "left"),
    ("[left]", "left"),
    ("{left}", "left"),
    ('"stop"', "stop"),
    ('say "stop"', "say stop"),
    ("<AND>", "and"),
    ("a@b.com", "bcom"),  # The sign is a space, so "a" is an article; the period is followed by no digit.
    ("snake_case", "snake case"),
    ("back\\slash", "back slash"),
    ("`tick`", "tick"),
    ("2+2=4", "2 2 4"),
    ("2:50 pm", "2:50 pm"),
    ("2:50pm.", "2:50pm"),
    ("50%", "50%"),
    ("rock & roll", "rock & roll"),
    ("#1", "#1"),
    ("*", "*"),
    ("yes;no", "yes no"),
]
PERIODS = [
    ("yes.", "yes"), ("3.5", "3.5"), ("5.", "5"), (".5", ".5"), ("v.2", "v.2"), ("u.s.a.", "usa"), ("1.000.", "1.000"), ("...", ""),
    ("no. 1", "no 1"), ("no.1", "no.1"), ("p.m.", "pm"), ("3. 5", "3 5"), ("x" + "." * 40, "x" + "." * 8),
]  # fmt: skip
SPACES = [
    ("  yes ", "yes"),
    ("yes\nno", "yes no"),
    ("yes\tno", "yes no"),
    ("", ""),
    ("\n", ""),
    ("red,\nwhite", "red white"),
    ("ROJO É", "rojo é"),
]
CASES = NUMBERS + ARTICLES + CONTRACTED + PUNCTUATED + PERIODS + SPACES


@pytest.mark.parametrize(("answer", "expected"), CASES)
def test_an_answer_is_normalised_as_by_the_script(answer, expected):
    assert normalise(answer) == expected


def test_the_table_is_as_long_as_promised():
    assert len(dict(CASES)) == len(CASES) >= 60


def test_contractions_are_as_many_as_the_script_s_that_can_match():
    # 120 entries: two keep their form and four begin with a capital, which no lower-cased word does.
    assert len(CONTRACTIONS) == 114
    assert all(key.replace("'", "") == form.replace("'", "") for key, form in CONTRACTIONS.items())


@given(st.text(max_size=30))
def test_nothing_is_left_that_the_rules_take_away(text):
    words = normalise(text).split(" ")
    assert not {"a", "an", "the", "none", "one", "ten"} & set(words)
    assert not set(PUNCTUATION) & set("".join(words))


TEN = ["yes"] * 10


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("yes", TEN, 1.0),
        ("no", TEN, 0.0),
        ("", TEN, 0.0),
        # m right of 10: the mean over ten nines is m/10 * min(1, (m-1)/3) + (10-m)/10 * min(1, m/3).
        ("yes", ["yes"] + ["no"] * 9, 0.3),
        ("yes", ["yes"] * 2 + ["no"] * 8, 0.6),
        ("yes", ["yes"] * 3 + ["no"] * 7, 0.9),
        ("yes", ["yes"] * 4 + ["no"] * 6, 1.0),
        ("yes", [f"maybe {n}" for n in range(10)], 0.0),
        # Normalised on both sides where people differ.
        ("The Cat.", ["cat", "a cat", "the cat", "cat!", *["dog"] * 6], 1.0),
        ("2", ["two", "Two", "2", "2.", *["three"] * 6], 1.0),
        ("two", ["2"] * 9 + ["3"], 1.0),
        ("dont know", ["don't know"] * 5 + ["unknown"] * 5, 1.0),
        # Letter by letter where they agree: what they wrote counts, and what the normalised text is.
        ("Yes.", TEN, 1.0),
        ("two", ["2"] * 10, 1.0),
        ("two", ["two"] * 10, 1.0),
        ("1,000", ["1,000"] * 10, 1.0),
        ("cat", ["the cat"] * 10, 0.0),
        ("the cat", ["the cat"] * 10, 1.0),
        ("the", ["a"] * 10, 0.0),
        ("", ["the"] * 10, 0.0),
        # Fewer people, as other datasets have.
        ("yes", ["yes"], 0.0),
        ("yes", ["yes"] * 4, 1.0),
        ("yes", ["yes", "no", "no"], 2 / 9),
    ],
)
def test_accuracy_is_the_mean_over_those_left_when_one_is_left_out(text, answers, expected):
    assert accuracy(text, answers) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("text", "expected"), [("Yes.", 0.0), ("Yes", 0.0), ("yes", 1.0), (" yes\n", 1.0)])
def test_the_script_alone_compares_letter_by_letter_where_all_agree(text, expected):
    assert script_accuracy(text, TEN) == expected


@given(st.lists(st.sampled_from(["yes", "Yes.", "no", "2", "two"]), min_size=1, max_size=12), st.sampled_from(["yes", "no", "two"]))
def test_accuracy_is_that_of_a_loop_over_those_left_out(answers, text):
    same = len(set(answers)) == 1
    said, given_ = (text, answers) if same else (normalise(text), [normalise(answer) for answer in answers])
    loop = [min(1, sum(other == said for other in given_[:n] + given_[n + 1 :]) / 3) for n in range(len(given_))]
    assert script_accuracy(text, answers) == pytest.approx(sum(loop) / len(loop))


def test_no_answer_to_compare_with_is_refused():
    with pytest.raises(UserError, match="found no answer"):
        accuracy("yes", [])
