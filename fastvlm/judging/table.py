"""The judge stage: every distinct text is judged once, and every setting's score is a row that says how many texts it is of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastvlm.data.example import Example
from fastvlm.judging.client import Client, NoAnswer
from fastvlm.judging.rules import Rule, Score, rule_of
from fastvlm.metrics.bootstrap import Estimate, ratio, resample
from fastvlm.metrics.examples import examples_by_dataset
from fastvlm.metrics.runs import Runs, Setting, read_runs
from fastvlm.progress import progress
from fastvlm.table_file import Record, write_table

SETTING = ("model", "dataset", "method", "exit_layer", "draft_length")
COUNTS = ("examples", "judged", "missing")
COLUMNS = (*SETTING, "tag", "score", "score_low", "score_high", *COUNTS, "rule", "wording", "judge", "date", "note")


class Verdict(NamedTuple):
    """The score of a text, or the reason why there is none; who judged, and on which day (UTC)."""

    score: Score | None
    judge: str = ""
    date: str = ""
    reason: str = ""


class Question(NamedTuple):
    """A text of an example, to be judged."""

    dataset: str
    example: str
    text: str


def write_judged(knobs: dict[str, Any], rows: list[Path], manifests: list[Path], cache: Path, output: Path) -> None:
    """Write `judged.csv`: a line a setting and tag, `tag` empty for all examples; scores as the benchmarks give them, 0 to 100.

    Knobs: `judge` (those of `config_judge.Judge`, or null: the table is its header), `seed`, `resamples`, `confidence` (0 to 1).
    `score` is over the `judged` of `examples`; `note` says why others are `missing`. Answers are kept in `cache`, so that a run
    that was killed asks for none of them again. Raises `UserError` where rows and manifests are of other examples, an official
    file is not what it should be, or no request can succeed.
    """
    if knobs["judge"] is None:
        write_table(output, COLUMNS, [])
        return
    runs = read_runs(rows, "test")
    examples = examples_by_dataset(manifests, runs)
    rules = {name: rule for name, of in examples.items() if (rule := rule_of(name, list(of.values()), knobs["judge"]))}
    judged = {setting: of for setting, of in runs.items() if setting.dataset in rules}
    verdicts = _judge(knobs["judge"], cache, judged, examples, rules)
    lines = _lines(knobs, judged, examples, rules, verdicts)
    write_table(output, COLUMNS, lines)


def _judge(
    knobs: Mapping[str, Any], cache: Path, runs: Runs, examples: Mapping[str, Mapping[str, Example]], rules: Mapping[str, Rule]
) -> dict[Question, Verdict]:
    asked = list(dict.fromkeys(Question(setting.dataset, row["example"], row["text"]) for setting, of in runs.items() for row in of))
    # Questions that read alike are one, as two requests at a time would write one file of the cache.
    alike: dict[str, list[Question]] = {}
    for question in asked:
        first = next(rules[question.dataset].tries(examples[question.dataset][question.example], question.text))
        alike.setdefault(json.dumps(first), []).append(question)
    with Client(knobs, cache) as client, ThreadPoolExecutor(knobs["concurrent"]) as pool:
        waiting = {
            pool.submit(_verdict, client, rules[one.dataset], examples[one.dataset][one.example], one.text): same
            for same in alike.values()
            for one in same[:1]
        }
        try:
            found = [(waiting[done], done.result()) for done in progress(as_completed(waiting), "judging", len(waiting))]
        except BaseException:
            client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {question: verdict for same, verdict in found for question in same}


def _verdict(client: Client, rule: Rule, example: Example, text: str) -> Verdict:
    """Of the first answer that holds a score."""
    for messages, temperature, max_tokens in rule.tries(example, text):
        try:
            answer = client.ask(messages, temperature=temperature, max_tokens=max_tokens)
        except NoAnswer as reason:
            return Verdict(None, reason=str(reason))
        score = rule.read(answer.text)
        if score is not None:
            return Verdict(score, answer.judge, answer.date)
    return Verdict(None, reason=rule.nonsense)


def _lines(
    knobs: Mapping[str, Any],
    runs: Runs,
    examples: Mapping[str, Mapping[str, Example]],
    rules: Mapping[str, Rule],
    verdicts: Mapping[Question, Verdict],
) -> Iterator[Record]:
    for setting, rows in runs.items():
        of, rule = examples[setting.dataset], rules[setting.dataset]
        given = [verdicts[Question(setting.dataset, row["example"], row["text"])] for row in rows]
        # The draws of the other tables, so that all intervals of a model and dataset are of the same examples.
        weights = resample(len(rows), knobs["resamples"], np.random.default_rng(knobs["seed"]))
        for tag in ["", *sorted({tag for example in of.values() for tag in example.tags})]:
            inside = [not tag or tag in of[row["example"]].tags for row in rows]
            chosen = [verdict for verdict, yes in zip(given, inside, strict=True) if yes]
            score = _score(given, inside, weights, knobs["confidence"]).columns("score")
            yield _key(setting) | {"tag": tag} | score | _counts(chosen) | {"rule": rule.name, "wording": rule.wording}


def _key(setting: Setting) -> Record:
    return {column: getattr(setting, column) for column in SETTING}


def _score(given: Sequence[Verdict], inside: Sequence[bool], weights: np.ndarray, confidence: float) -> Estimate:
    pairs = [verdict.score if yes and verdict.score else (0.0, 0.0) for verdict, yes in zip(given, inside, strict=True)]
    got, by = np.array(pairs, dtype=np.float64).T
    return ratio(100 * got, by, weights, confidence)


def _counts(chosen: Sequence[Verdict]) -> Record:
    """Who judged how many and when, and why others have no score."""
    scored = [verdict for verdict in chosen if verdict.score]
    dates = sorted({verdict.date for verdict in scored})
    reasons = Counter(verdict.reason for verdict in chosen if not verdict.score)
    return {
        "examples": len(chosen),
        "judged": len(scored),
        "missing": len(chosen) - len(scored),
        "judge": "; ".join(sorted({verdict.judge for verdict in scored})),
        "date": " to ".join(dates if len(dates) < 3 else (dates[0], dates[-1])),
        "note": "; ".join(f"{count} without a score: {reason}" for reason, count in sorted(reasons.items())),
    }
