"""The judge stage against a judge on loopback: the scores, what is asked how often, what is missing and why, and where the key goes."""

from __future__ import annotations

import json
import random
import re
import subprocess
import threading

import pytest

from fastvlm.data.example import Example, write_manifest
from fastvlm.errors import UserError
from fastvlm.judging import client, table
from fastvlm.rows import write_rows
from tests.loopback_judge import Reply, completion, serve
from tests.rows_factory import decode_row
from tests.workspace import PROJECT, environment

KEY = "sk-loopback-5f1c9a7e"
STATISTICS = {"seed": 1, "resamples": 200, "confidence": 0.9}
# Example -> (capabilities, text of plain decoding, score that this judge gives the text).
QUESTIONS = {
    "q1": (("ocr",), "one", 0.5),
    "q2": (("ocr", "math"), "two", 1.0),
    "q3": (("math",), "three", 0.0),
    "q4": (("math",), "four", 0.3),
}
# Example -> (category, text, its score, the score of the reference answer).
STORIES = {"s1": ("conv", "uno", 6, 8), "s2": ("detail", "dos", 3, 10), "s3": ("detail", "tres", 9, 6)}
TEXTS = [of[1] for of in (*QUESTIONS.values(), *STORIES.values())]
BETTER = "a better text"


@pytest.fixture(autouse=True)
def key_and_no_waiting(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)


def rows_of(dataset, texts, changed=None):
    """Plain decoding and a lossless method at two draft lengths; `changed` gives fastvlm at length 4 another text for one example."""
    rng = random.Random(0)
    for method, exit_layer, length in (("baseline", None, None), ("fastvlm", 1, 2), ("fastvlm", 1, 4)):
        for example, text in texts.items():
            said = BETTER if example == changed and length == 4 else text
            yield decode_row(rng, method, exit_layer, length, dataset=dataset, example=example, text=said)


@pytest.fixture
def files(tmp_path):
    """(rows, manifests) of an MM-Vet, a LLaVA-Bench and captions, which no judge scores."""
    examples = {
        "mm": [Example(e, "test", "question", f"Ask {e}?", ("right",), "", tags=tags) for e, (tags, _, _) in QUESTIONS.items()],
        "wild": [
            Example(e, "test", "description", f"Tell {e}.", ("long",), "", tags=(of[0],), context="Seen.") for e, of in STORIES.items()
        ],
        "captions": [Example("c1", "test", "caption", "Caption.", ("a cat",), "", tags=("in-domain",))],
    }
    texts = {"mm": {e: of[1] for e, of in QUESTIONS.items()}, "wild": {e: of[1] for e, of in STORIES.items()}, "captions": {"c1": "cat"}}
    for name, of in examples.items():
        write_manifest(tmp_path / f"{name}.jsonl", of)
        write_rows(tmp_path / f"rows-{name}.jsonl", rows_of(name, texts[name], changed="q3"))
    return [tmp_path / f"rows-{name}.jsonl" for name in examples], [tmp_path / f"{name}.jsonl" for name in examples]


def text_in(body):
    """The text that a request is about."""
    question = body["messages"][-1]["content"]
    mm_vet = re.search(r"\| right \| (.*) \| ", question)
    return mm_vet[1] if mm_vet else re.search(r"\[Assistant 2\]\n(.*)\n", question)[1]


def fair(body):
    text = text_in(body)
    scores = {of[1]: f"{of[2]}" for of in QUESTIONS.values()} | {of[1]: f"{of[3]} {of[2]}\nBecause." for of in STORIES.values()}
    return completion(scores.get(text, "0.9"))


def judge(knobs, files, tmp_path):
    table.write_judged({"judge": knobs, **STATISTICS}, *files, tmp_path / "cache", tmp_path / "judged.csv")
    return read(tmp_path / "judged.csv")


def read(path):
    header, *lines = [line.split(",") for line in path.read_text().splitlines()]
    assert tuple(header) == table.COLUMNS
    found = [dict(zip(header, line, strict=True)) for line in lines]
    return {(row["dataset"], row["method"], row["draft_length"], row["tag"]): row for row in found}


def test_scores_are_those_of_the_official_formulas(files, tmp_path):
    with serve(fair) as server:
        rows = judge(server.knobs(), files, tmp_path)
    plain = {(dataset, tag): float(row["score"]) for (dataset, method, _, tag), row in rows.items() if method == "baseline"}
    assert plain == pytest.approx(
        {
            # 100 * mean over those that need the capability.
            ("mm", ""): 100 * (0.5 + 1.0 + 0.0 + 0.3) / 4, ("mm", "ocr"): 75, ("mm", "math"): 100 * 1.3 / 3,
            # Ratio of means, not mean of ratios.
            ("wild", ""): 100 * (6 + 3 + 9) / (8 + 10 + 6), ("wild", "conv"): 75, ("wild", "detail"): 100 * 12 / 16,
        },
        rel=1e-5,
    )  # fmt: skip
    assert float(rows["mm", "fastvlm", "4", ""]["score"]) == pytest.approx(100 * (0.5 + 1.0 + 0.9 + 0.3) / 4)
    assert rows["mm", "fastvlm", "2", ""]["score"] == rows["mm", "baseline", "", ""]["score"]
    for row in rows.values():
        assert float(row["score_low"]) <= float(row["score"]) <= float(row["score_high"])
        assert row["judge"] == "judge-2026-01-01" and re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"])
        assert (row["wording"], row["note"], row["missing"]) == ("own", "", "0")
    assert {(dataset, row["rule"]) for (dataset, *_), row in rows.items()} == {("mm", "mm-vet"), ("wild", "llava-wild")}


def test_a_text_is_judged_once_and_never_again(files, tmp_path):
    with serve(fair) as server:
        first = judge(server.knobs(), files, tmp_path)
        assert sorted(text_in(body) for _, _, body in server.requests) == sorted([*TEXTS, BETTER])
        assert {path for path, _, _ in server.requests} == {"/v1/chat/completions"}
        assert {body["temperature"] for _, _, body in server.requests} == {0.0}
        assert {body["model"] for _, _, body in server.requests} == {"judge-alias"}
        before = (tmp_path / "judged.csv").read_bytes()
        assert judge(server.knobs(), files, tmp_path) == first
        assert len(server.requests) == 8
        assert (tmp_path / "judged.csv").read_bytes() == before
        judge(server.knobs(model="another"), files, tmp_path)
        assert len(server.requests) == 16


def test_without_a_judge_the_table_is_its_header(files, tmp_path):
    assert judge(None, files, tmp_path) == {}
    assert not (tmp_path / "cache").exists()


def test_trouble_that_passes_is_waited_out(files, tmp_path):
    troubles = [Reply(429, "slow down", {"Retry-After": "0"}), Reply(503, "down"), Reply(200, "no JSON"), Reply(200, {"choices": []})]

    def answer(body):
        return troubles.pop() if troubles else fair(body)

    with serve(answer) as server:
        rows = judge(server.knobs(attempts=5, concurrent=1), files, tmp_path)
        assert len(server.requests) == 8 + 4
    assert {row["missing"] for row in rows.values()} == {"0"}


@pytest.mark.parametrize(
    ("wrong", "tries", "reason"),
    [
        (completion("no idea"), 5, "no number in five answers (MM-Vet's script would score 0)"),
        (completion("2.0"), 5, "no number in five answers (MM-Vet's script would score 0)"),
        (completion(None), 1, "refused: no text"),
        (completion(""), 1, "refused: no text"),
        (Reply(400, {"error": {"message": "content policy"}}), 1, "refused with HTTP 400"),
        (Reply(500, "broken"), 3, "HTTP 500"),
        (Reply(429, "quota"), 3, "HTTP 429"),
        (Reply(200, [1]), 3, "no chat completion"),
        (Reply(200, "{}", delay=30), 3, "timed out"),
    ],
)
def test_what_is_not_judged_is_counted_and_said(files, tmp_path, wrong, tries, reason):
    with serve(lambda body: wrong if text_in(body) == "two" else fair(body)) as server:
        rows = judge(server.knobs(timeout=0.3), files, tmp_path)
        assert [text_in(body) for _, _, body in server.requests].count("two") == tries
    whole, ocr, other = (rows[key] for key in (("mm", "baseline", "", ""), ("mm", "baseline", "", "ocr"), ("wild", "baseline", "", "")))
    assert [whole[column] for column in table.COUNTS] == ["4", "3", "1"]
    assert [ocr[column] for column in table.COUNTS] == ["2", "1", "1"]
    assert whole["note"] == ocr["note"] == f"1 without a score: {reason}"
    # Over those that were judged, and no others.
    assert float(whole["score"]) == pytest.approx(100 * (0.5 + 0.0 + 0.3) / 3, rel=1e-5)
    assert float(ocr["score"]) == 50
    assert (other["missing"], other["note"]) == ("0", "")


def test_where_nothing_is_judged_there_is_no_score(files, tmp_path):
    with serve(lambda body: completion("I would rather not say.")) as server:
        row = judge(server.knobs(), files, tmp_path)["wild", "baseline", "", ""]
    assert (row["score"], row["score_low"], row["judge"], row["judged"], row["missing"]) == ("", "", "", "0", "3")
    assert row["note"] == "3 without a score: no two scores on the first line (LLaVA's script would count -1)"


def test_nonsense_is_asked_again_warmer_and_the_first_number_counts(files, tmp_path):
    asked = []

    def answer(body):
        if text_in(body) != "two":
            return fair(body)
        asked.append(body["temperature"])
        return completion("0.4" if len(asked) == 4 else "well...")

    with serve(answer) as server:
        rows = judge(server.knobs(), files, tmp_path)
    assert asked == [0.0, 0.0, 0.5, 1.0]
    assert float(rows["mm", "baseline", "", "ocr"]["score"]) == pytest.approx(100 * (0.5 + 0.4) / 2)


@pytest.mark.parametrize(("status", "what"), [(401, "does not accept the key"), (402, "asks for payment"), (404, "knows no such path")])
def test_what_can_never_be_right_ends_the_run_in_one_line(files, tmp_path, status, what):
    with serve(lambda body: Reply(status, f"Incorrect key {KEY}")) as server:
        with pytest.raises(UserError) as error:
            judge(server.knobs(concurrent=1), files, tmp_path)
        assert len(server.requests) < 8
    assert what in str(error.value) and f"HTTP {status}" in str(error.value) and "JUDGE_KEY" in str(error.value)
    assert KEY not in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "judged.csv").exists()


def test_nobody_there_ends_the_run_in_one_line(files, tmp_path):
    with serve(fair) as server:
        knobs = server.knobs()
    with pytest.raises(UserError, match=r"could not be reached; check judge\.endpoint"):
        judge(knobs, files, tmp_path)


@pytest.mark.parametrize(
    ("value", "line"), [(None, "JUDGE_KEY is not set"), ("  ", "JUDGE_KEY is not set"), ("sk-ab cd", "holds characters that no key has")]
)
def test_a_key_that_cannot_be_sent_is_refused_unseen(files, tmp_path, monkeypatch, value, line):
    monkeypatch.delenv("JUDGE_KEY") if value is None else monkeypatch.setenv("JUDGE_KEY", value)
    with serve(fair) as server, pytest.raises(UserError, match=line) as error:
        judge(server.knobs(), files, tmp_path)
    assert "sk-ab" not in str(error.value)


def test_a_judge_without_a_key_is_sent_none(files, tmp_path):
    with serve(fair) as server:
        judge(server.knobs(key_variable=None), files, tmp_path)
        assert {key for _, key, _ in server.requests} == {None}


def test_rows_of_other_examples_are_refused(files, tmp_path):
    rows, manifests = files
    write_manifest(manifests[0], [Example("q1", "test", "question", "Ask?", ("right",), "")])
    with serve(fair) as server, pytest.raises(UserError, match="4 examples decoded, 1 in the manifest's test split"):
        judge(server.knobs(), (rows, manifests), tmp_path)


def test_a_broken_answer_of_the_cache_is_named(files, tmp_path):
    with serve(fair) as server:
        judge(server.knobs(), files, tmp_path)
        broken = next((tmp_path / "cache").iterdir())
        broken.write_text("{")
        with pytest.raises(UserError, match=f"{broken.name}: not an answer that the judge stage kept; delete it"):
            judge(server.knobs(), files, tmp_path)


def command(files, tmp_path, knobs):
    """The command line as a rule runs it."""
    rows, manifests = files
    options = [f"--rows={path}" for path in rows] + [f"--manifest={path}" for path in manifests]
    asked = json.dumps({"judge": knobs, **STATISTICS})
    return ["fastvlm", "judge", "--knobs", asked, *options, "--cache", str(tmp_path / "cache"), "--output", str(tmp_path / "judged.csv")]


def echo_key(status):
    """A judge that repeats the key wherever it can."""

    def answer(body):
        reply = fair(body)
        text = reply.body["choices"][0]["message"]["content"]
        said = completion(f"{text} {KEY}" if " " not in text else f"{text}\n{KEY}", model=f"judge {KEY}")
        return Reply(status, said.body if status == 200 else {"error": f"bad key {KEY}"}, {"X-Key": KEY})

    return answer


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_the_key_is_nowhere_even_if_the_judge_repeats_it(files, tmp_path, status):
    with serve(echo_key(status)) as server:
        program = command(files, tmp_path, server.knobs(attempts=1))
        done = subprocess.run(program, cwd=PROJECT, env=environment(PROJECT), capture_output=True, text=True, check=False)
        assert {key for _, key, _ in server.requests} == {f"Bearer {KEY}"}
    assert done.returncode == (2 if status == 401 else 0), done.stderr
    assert KEY not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(KEY.encode() not in path.read_bytes() and KEY not in path.name for path in written)
    if status == 200:
        assert len(list((tmp_path / "cache").iterdir())) == 8
        assert read(tmp_path / "judged.csv")["mm", "baseline", "", ""]["judge"] == "judge [key]"


def test_killed_in_the_middle_it_asks_only_what_was_not_answered(files, tmp_path):
    enough, seen = threading.Event(), []

    def answer(body):
        seen.append(text_in(body))
        if len(seen) <= 3:
            return fair(body)
        enough.set()
        return Reply(200, "{}", delay=30)

    with serve(answer) as server:
        process = subprocess.Popen(command(files, tmp_path, server.knobs(concurrent=1)), cwd=PROJECT, env=environment(PROJECT))
        assert enough.wait(60)
        process.kill()
        process.wait()
        knobs = server.knobs(concurrent=1)
        assert not (tmp_path / "judged.csv").exists()
        assert len(list((tmp_path / "cache").glob("*.json"))) == 3
        answered, seen[:] = seen[:3], []
        server.answer = lambda body: (seen.append(text_in(body)), fair(body))[1]
        rows = judge(knobs, files, tmp_path)
    assert len(seen) == 5 and not set(answered) & set(seen)
    assert {row["missing"] for row in rows.values()} == {"0"}
