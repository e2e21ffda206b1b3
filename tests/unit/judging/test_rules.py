"""What is asked and how answers are read, against the layouts that the benchmarks' scripts build."""

import json

import pytest

from fastvlm.data.example import Example
from fastvlm.errors import UserError
from fastvlm.judging import wording
from fastvlm.judging.rules import LlavaWild, MmVet, rule_of

NO_FILES = {"mm_vet_prompt": None, "llava_wild_rules": None}
QUESTION = Example("v1_0", "test", "question", "What is x?", ("-1<AND>-5",), "", tags=("math", "ocr"))
STORY = Example("7", "test", "description", "What is it?", ("A dog.",), "", tags=("complex",), context="A dog as Mona Lisa.")
EVALUATOR = '''import argparse
raise SystemExit("never run")
other = "no"
prompt = """Compare them.

Question | Ground truth | Prediction | Correctness
"""
'''
RULES = {f"llava_bench_{name}": {"role": "Assistant", "prompt": f"Rate {name}."} for name in ("conv", "detail", "complex")}


@pytest.fixture
def official(tmp_path):
    """Look-alikes of the releases' files."""
    (tmp_path / "mm-vet_evaluator.py").write_text(EVALUATOR)
    (tmp_path / "rule.json").write_text(json.dumps(RULES))
    return {"mm_vet_prompt": str(tmp_path / "mm-vet_evaluator.py"), "llava_wild_rules": str(tmp_path / "rule.json")}


def test_mm_vet_asks_as_its_script(official):
    rule = rule_of("mm-vet", [QUESTION], official)
    tries = list(rule.tries(QUESTION, "x = -1"))
    table = "Compare them.\n\nQuestion | Ground truth | Prediction | Correctness\n\nWhat is x? | -1 <AND> -5 | x = -1 | "
    assert rule.wording == "official"
    assert tries[0] == ([{"role": "user", "content": table}], 0.0, 3)
    assert [again.messages[0]["content"] for again in tries[1:]] == [table + "\nPredict the correctness of the answer (digit): "] * 4
    assert [again.temperature for again in tries[1:]] == [0.0, 0.5, 1.0, 1.5]


def test_mm_vet_joins_what_the_loader_split_and_sets_spaces_around_its_marks():
    example = Example("v1_1", "test", "question", "Where?", ("north", "up<AND>left "), "")
    [question, *_] = rule_of("mm-vet", [example], NO_FILES).tries(example, "up")
    assert question.messages[0]["content"].endswith("\nWhere? | north <OR> up <AND> left  | up | ")


@pytest.mark.parametrize(
    ("answer", "score"),
    [("0.5", 0.5), ("1.0", 1.0), ("0", 0.0), (" 0.3\n", 0.3), ("0.7 |", 0.7), ("1", 1.0), ("1.1", None), ("-0.1", None), ("nan", None),
     ("5/10", None), ("I cannot", None), ("", None), ("Score: 0.5", None), ("inf", None)],
)  # fmt: skip
def test_mm_vet_reads_the_number_an_answer_begins_with(answer, score):
    assert MmVet("", "", "own").read(answer) == (None if score is None else (score, 1.0))


def test_llava_wild_asks_as_its_script(official):
    rule = rule_of("llava-wild", [STORY], official)
    [only] = rule.tries(STORY, "A cat.")
    assert rule.wording == "official"
    assert only.messages[0] == {"role": "system", "content": wording.OFFICIAL_LLAVA_WILD_SYSTEM}
    assert only.messages[1]["content"] == (
        "[Context]\nA dog as Mona Lisa.\n\n[Question]\nWhat is it?\n\n"
        "[Assistant 1]\nA dog.\n\n[End of Assistant 1]\n\n[Assistant 2]\nA cat.\n\n[End of Assistant 2]\n\n[System]\nRate complex.\n\n"
    )
    assert (only.temperature, only.max_tokens) == (0.0, 1024)


@pytest.mark.parametrize(
    ("answer", "scores"),
    [("8 6\nThe first", (6.0, 8.0)), ("9, 7.5", (7.5, 9.0)), ("8,6", (6.0, 8.0)), ("\n8 6", (6.0, 8.0)), ("10 1", (1.0, 10.0)),
     ("8", None), ("8 6 4", None), ("8 eleven", None), ("0 5", None), ("5 11", None), ("Assistant 1: 8", None), ("", None),
     ("nan 5", None)],
)  # fmt: skip
def test_llava_wild_reads_two_numbers_of_the_first_line(answer, scores):
    assert LlavaWild("", {}, "own").read(answer) == scores


def test_a_category_has_its_own_rule_and_a_long_name_is_that_of_the_file(official):
    talk = Example("8", "test", "description", "Who?", ("A man.",), "", tags=("conversation",), context="A man.")
    rule = rule_of("llava-wild", [STORY, talk], official)
    assert [next(rule.tries(example, "x")).messages[1]["content"].split("[System]\n")[1] for example in (STORY, talk)] == [
        "Rate complex.\n\n", "Rate conv.\n\n",
    ]  # fmt: skip


def test_own_words_are_used_and_said_so_without_the_files():
    for example, told in ((QUESTION, wording.OWN_MM_VET), (STORY, wording.OWN_LLAVA_WILD)):
        rule = rule_of("d", [example], NO_FILES)
        assert rule.wording == "own"
        assert told in next(rule.tries(example, "x")).messages[-1]["content"]


@pytest.mark.parametrize("task", ["caption", "dialogue", "vqa", "description"])
def test_tasks_without_a_judge_have_no_rule(task):
    assert rule_of("d", [Example("1", "test", task, "?", ("a",), "")], NO_FILES) is None


def test_a_context_for_some_is_refused():
    other = Example("9", "test", "description", "What?", ("A dog.",), "", tags=("detail",))
    with pytest.raises(UserError, match="wild: example '9' has no context for the judge"):
        rule_of("wild", [STORY, other], NO_FILES)


@pytest.mark.parametrize(
    ("knob", "content", "line"),
    [
        ("mm_vet_prompt", None, "cannot be read (No such file or directory); expected the release's own file (judge.mm_vet_prompt)"),
        ("mm_vet_prompt", "not python (", "not Python; expected mm-vet_evaluator.py"),
        ("mm_vet_prompt", "prompt = make()", "no string named 'prompt'; expected mm-vet_evaluator.py"),
        ("llava_wild_rules", "{", "not JSON; expected rule.json"),
        ("llava_wild_rules", "[]", "no 'llava_bench_complex' with a role and a prompt; found list"),
        ("llava_wild_rules", '{"coding": {}}', "no 'llava_bench_complex' with a role and a prompt; found coding"),
    ],
)
def test_a_file_that_is_not_the_release_s_is_refused_in_one_line(tmp_path, knob, content, line):
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)
    example = QUESTION if knob == "mm_vet_prompt" else STORY
    with pytest.raises(UserError) as error:
        rule_of("d", [example], {**NO_FILES, knob: str(path)})
    assert f"{path}: {line}" in str(error.value) and "\n" not in str(error.value)
