"""What the judge is told to do: read from the benchmarks' own files where the user gives them, else in our own words."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from pathlib import Path

from fastvlm.errors import UserError

OWN_MM_VET = """\
You grade answers to questions about pictures that you do not see. Read the question, the right answer and the given answer, and say \
how much of the right answer the given one contains: a number from 0.0 (none) to 1.0 (all) in steps of 0.1. Parts of the right answer \
that are joined by <AND> are all needed; of parts joined by <OR> any one is enough. Write the number alone.

Question | Right answer | Given answer | Grade
--- | --- | --- | ---
"""
OWN_MM_VET_AGAIN = "\nThe grade as a number, and nothing else: "
# Of mm-vet_evaluator.py, which adds it when an answer was no number.
OFFICIAL_MM_VET_AGAIN = "\nPredict the correctness of the answer (digit): "

OWN_LLAVA_WILD = """\
You see above what is known of a picture, a question about it, and the answers of two assistants. Grade each answer from 1 (useless) to \
10 (perfect) by how right, relevant, detailed and helpful it is, whichever stands first. Write the two grades, of Assistant 1 and of \
Assistant 2, on the first line with a space between them and nothing else on it; on the next line say why in a sentence."""
OWN_LLAVA_WILD_SYSTEM = "You grade answers with care and without favour."
# Of eval_gpt_review_bench.py.
OFFICIAL_LLAVA_WILD_SYSTEM = "You are a helpful and precise assistant for checking the quality of the answer."

# rule.json calls the first of LLaVA-Bench's categories so.
SHORT_NAMES = {"conversation": "conv"}


def read_mm_vet_prompt(path: Path) -> str:
    """The string `prompt` in MM-Vet's `mm-vet_evaluator.py`, which is parsed and never run; raises `UserError` if there is none."""
    try:
        tree = ast.parse(_read(path, "judge.mm_vet_prompt"))
    except (SyntaxError, ValueError):
        raise UserError(f"{path}: not Python; expected mm-vet_evaluator.py of MM-Vet's release (judge.mm_vet_prompt)") from None
    for node in tree.body:
        named = isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "prompt" for target in node.targets)
        if named and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return node.value.value
    raise UserError(f"{path}: no string named 'prompt'; expected mm-vet_evaluator.py of MM-Vet's release (judge.mm_vet_prompt)")


def read_llava_wild_rules(path: Path, categories: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Category -> (role, prompt) of LLaVA's `rule.json`; raises `UserError` where it is another file or lacks a category."""
    try:
        rules = json.loads(_read(path, "judge.llava_wild_rules"))
    except ValueError:
        raise UserError(f"{path}: not JSON; expected rule.json of LLaVA's release (judge.llava_wild_rules)") from None
    found = {}
    for category in categories:
        key = f"llava_bench_{SHORT_NAMES.get(category, category)}"
        try:
            found[category] = (str(rules[key]["role"]), str(rules[key]["prompt"]))
        except (LookupError, TypeError):
            known = ", ".join(rules) if isinstance(rules, dict) else type(rules).__name__
            raise UserError(f"{path}: no '{key}' with a role and a prompt; found {known} (judge.llava_wild_rules)") from None
    return found


def _read(path: Path, knob: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UserError(f"{path}: cannot be read ({reason}); expected the release's own file ({knob})") from None
