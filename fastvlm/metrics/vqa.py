"""VQA accuracy by the rules of the benchmark's own script, slips included, as published numbers include them.

The script is `PythonEvaluationTools/vqaEvaluation/vqaEval.py` of github.com/GT-Vision-Lab/VQA at commit a013f00 (2021); the rules in
words stand at visualqa.org/evaluation.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastvlm.errors import UserError

# Apostrophe and colon are left alone: "girl's" is no plural, and "2:50" is a time.
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
COMMA_IN_NUMBER = re.compile(r"\d,\d")
# The script means to keep periods between digits, and keeps all that stand before one.
PERIOD = re.compile(r"\.(?!\d)")
# It hands a flag of this value to `re.sub` where the count is expected.
MOST_PERIODS = 32
NUMBERS = "zero one two three four five six seven eight nine ten"
DIGITS = {"none": "0"} | {word: str(number) for number, word in enumerate(NUMBERS.split())}
ARTICLES = {"a", "an", "the"}
# The full forms of the script's table; the key to each is what is left of it without one of its apostrophes. Forms that it
# keys by a capital letter, which no lower-cased word has, and those that it maps to themselves change nothing and are left out.
FULL_FORMS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's how'd
how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock oughtn't
'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've
someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've
they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's where'd where's where've
who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd
you'd've you'll you're you've
"""
CONTRACTIONS = {form[: mark.start()] + form[mark.end() :]: form for form in FULL_FORMS.split() for mark in re.finditer("'", form)}
# The one entry that the script has the wrong way round.
CONTRACTIONS["somebody'd"] = "somebodyd"


def normalise(answer: str) -> str:
    """An answer as the script compares it: words in lower case, joined by single spaces.

    A punctuation mark becomes a space, or nothing where it stands next to a space anywhere in the answer; in an answer with a
    comma between digits all marks become nothing. Periods go unless a digit follows. Number words become digits, articles go,
    and a contraction without its apostrophe is given it.
    """
    return _words(_without_punctuation(_on_one_line(answer)))


def accuracy(text: str, answers: Sequence[str]) -> float:
    """The script's accuracy, 0 to 1, of a text as it stands or as normalised, whichever is right more often.

    Where all people gave one answer the script compares letter by letter, without normalising. Published numbers are of texts
    that were normalised before the script saw them (LLaVA's `convert_vqav2_for_submission.py`, LAVIS's `vqa_eval.py`): "Yes." is
    right where ten people said "yes". Raises `UserError` where there is no answer.
    """
    return max(script_accuracy(text, answers), script_accuracy(normalise(text), answers))


def script_accuracy(text: str, answers: Sequence[str]) -> float:
    """What the script gives a text, 0 to 1: the mean of min(1, matches / 3) over all ways to leave out one of the people's answers.

    Text and answers are normalised only if the answers differ. Raises `UserError` where there is no answer.
    """
    if not answers:
        raise UserError("VQA accuracy: found no answer to compare with, expected those of several people (VQAv2 has ten)")
    said, given = _on_one_line(text), [_on_one_line(answer) for answer in answers]
    if len(set(given)) > 1:
        said, given = normalise(said), [normalise(answer) for answer in given]
    matches = given.count(said)
    return sum(min(1.0, (matches - (answer == said)) / 3) for answer in given) / len(given)


def _on_one_line(answer: str) -> str:
    return answer.replace("\n", " ").replace("\t", " ").strip()


def _without_punctuation(answer: str) -> str:
    in_number = COMMA_IN_NUMBER.search(answer)
    made = answer
    for mark in PUNCTUATION:
        beside_space = f"{mark} " in answer or f" {mark}" in answer
        made = made.replace(mark, "" if in_number or beside_space else " ")
    return PERIOD.sub("", made, count=MOST_PERIODS)


def _words(answer: str) -> str:
    words = (DIGITS.get(word, word) for word in answer.lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)
