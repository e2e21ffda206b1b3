"""The two benchmarks' rules: what is asked of the judge for a text, and which scores its answer holds.

A score is a pair: what the text got, and what that is measured by. That of a group of texts is 100 * sum of the first / sum of the
second: MM-Vet's mean in percent where the second is 1, LLaVA-Bench's ratio of means where it is the reference answer's score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fastvlm.data.example import Example
from fastvlm.errors import UserError
from fastvlm.judging import wording

Score = tuple[float, float]


class Try(NamedTuple):
    """One request; the next is made only where this one's answer holds no score."""

    messages: list[dict[str, str]]
    temperature: float
    max_tokens: int


@dataclass(frozen=True)
class MmVet:
    """MM-Vet (Yu et al. 2023), as `mm-vet_evaluator.py` of its release does it.

    Answers without a number are asked for again in other words and at growing temperature. After the last the script scores 0, and
    its text is not looked at; here the text goes without a score.
    """

    prompt: str
    again: str
    wording: str
    name: str = "mm-vet"
    nonsense: str = "no number in five answers (MM-Vet's script would score 0)"

    def tries(self, example: Example, text: str) -> Iterator[Try]:
        right = "<OR>".join(example.references).replace("<AND>", " <AND> ").replace("<OR>", " <OR> ")
        question = f"{self.prompt}\n" + " | ".join([example.prompt, right, text, ""])
        yield Try([{"role": "user", "content": question}], 0.0, 3)
        for temperature in (0.0, 0.5, 1.0, 1.5):
            yield Try([{"role": "user", "content": question + self.again}], temperature, 3)

    def read(self, answer: str) -> Score | None:
        """The number with which the answer begins, if it is one from 0 to 1."""
        score = _number(answer.strip().split(" ")[0])
        return (score, 1.0) if score is not None and 0 <= score <= 1 else None


@dataclass(frozen=True)
class LlavaWild:
    """LLaVA-Bench in the wild (Liu et al. 2023), as `eval_gpt_review_bench.py` and `summarize_gpt_review.py` of LLaVA's release do it.

    They ask at temperature 0.2, here it is 0; they count -1 for both where there are no two scores, here the text goes without.
    """

    system: str
    rules: Mapping[str, tuple[str, str]]
    wording: str
    name: str = "llava-wild"
    nonsense: str = "no two scores on the first line (LLaVA's script would count -1)"

    def tries(self, example: Example, text: str) -> Iterator[Try]:
        role, prompt = self.rules[_category(example)]
        said = "".join(
            f"[{role} {number}]\n{answer}\n\n[End of {role} {number}]\n\n" for number, answer in ((1, example.references[0]), (2, text))
        )
        question = f"[Context]\n{example.context}\n\n[Question]\n{example.prompt}\n\n{said}[System]\n{prompt}\n\n"
        yield Try([{"role": "system", "content": self.system}, {"role": "user", "content": question}], 0.0, 1024)

    def read(self, answer: str) -> Score | None:
        """The two numbers of the first line, the text's first, if they are from 1 to 10."""
        scores = [_number(word) for word in answer.strip().split("\n")[0].replace(",", " ").split()]
        if len(scores) != 2 or any(score is None or not 1 <= score <= 10 for score in scores):
            return None
        return scores[1], scores[0]


Rule = MmVet | LlavaWild


def rule_of(dataset: str, examples: Sequence[Example], knobs: Mapping[str, Any]) -> Rule | None:
    """The rule by which a dataset is judged: MM-Vet's for questions, LLaVA-Bench's for descriptions with a context, else none.

    Raises `UserError` where only some descriptions have a context, or an official file is not what it should be.
    """
    if examples[0].task == "question":
        return _mm_vet(knobs["mm_vet_prompt"])
    if examples[0].task != "description" or not any(example.context for example in examples):
        return None
    blind = next((example.id for example in examples if not example.context), None)
    if blind is not None:
        raise UserError(f"{dataset}: example '{blind}' has no context for the judge, others have; expected one for each or for none")
    return _llava_wild(knobs["llava_wild_rules"], sorted({_category(example) for example in examples}))


def _mm_vet(path: str | None) -> MmVet:
    if path is None:
        return MmVet(wording.OWN_MM_VET, wording.OWN_MM_VET_AGAIN, "own")
    return MmVet(wording.read_mm_vet_prompt(Path(path)), wording.OFFICIAL_MM_VET_AGAIN, "official")


def _llava_wild(path: str | None, categories: Sequence[str]) -> LlavaWild:
    if path is None:
        rules = dict.fromkeys(categories, ("Assistant", wording.OWN_LLAVA_WILD))
        return LlavaWild(wording.OWN_LLAVA_WILD_SYSTEM, rules, "own")
    return LlavaWild(wording.OFFICIAL_LLAVA_WILD_SYSTEM, wording.read_llava_wild_rules(Path(path), categories), "official")


def _category(example: Example) -> str:
    return example.tags[0] if example.tags else ""


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
