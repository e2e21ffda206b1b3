"""What pydantic found wrong with a configuration, as one line for the person who wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fastvlm.config_types import PATTERNS

MISSPELT = "extra_forbidden"


def in_one_line(error: ValidationError, source: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """The first problem as 'key: found ..., expected ...'; `schema` is the JSON schema that names the known keys.

    Unknown keys go first, because a misspelt key is also a missing one.
    """
    problem = min(error.errors(), key=lambda item: item["type"] != MISSPELT)
    path = _path(problem["loc"], source, names_a_key=problem["type"] in (MISSPELT, "missing"))
    if problem["type"] == MISSPELT:
        return f"{path}: unknown key, {_suggestion(str(problem['loc'][-1]), _known_keys(problem['loc'][:-1], schema))}"
    if problem["type"] == "missing":
        return f"{path}: missing, expected a value"
    if problem["type"] == "value_error":
        return _of_validator(path, problem)
    if problem["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return _of_tag(path, problem)
    return f"{path}: found {_show(problem['input'])}, expected {_expectation(problem)}"


def _path(location: tuple[int | str, ...], source: Any, *, names_a_key: bool) -> str:
    """'models.small.layers' or 'draft_lengths[0]'; the tags that pydantic adds for a union are no keys and are left out.

    `names_a_key`: the last part is a key even where the source lacks it.
    """
    path, node = "", source
    for depth, part in enumerate(location):
        is_key = isinstance(node, Mapping) and (part in node or (names_a_key and depth == len(location) - 1))
        if isinstance(part, int) and isinstance(node, list | tuple):
            path, node = f"{path}[{part}]", node[part]
        elif is_key:
            path, node = f"{path}.{part}".lstrip("."), node.get(part)
    return path


def _of_validator(path: str, problem: ErrorDetails) -> str:
    """A validator of a group names the key inside the group itself; one of a single value leaves the value to be shown."""
    said = str(problem["ctx"]["error"])
    if isinstance(problem["input"], Mapping):
        return f"{path}.{said}".lstrip(".")
    return f"{path}: found {_show(problem['input'])}, {said}"


def _of_tag(path: str, problem: ErrorDetails) -> str:
    """The key that says of which kind a group is, such as `source`, is missing or names no kind."""
    key = problem["ctx"]["discriminator"].strip("'")
    if problem["type"] == "union_tag_not_found":
        return f"{path}.{key}: missing, expected a value"
    return f"{path}.{key}: found {_show(problem['input'][key])}, expected one of {problem['ctx']['expected_tags']}"


def _known_keys(location: tuple[int | str, ...], schema: Mapping[str, Any]) -> list[str]:
    """The keys of the group at `location`."""
    group = schema
    for part in location:
        if "discriminator" in group:
            kind = group["discriminator"]["mapping"][part]  # a reference, or a group of kinds in turn
            group = _resolve({"$ref": kind}, schema) if isinstance(kind, str) else kind
        elif isinstance(part, int):
            group = _resolve(group["items"], schema)
        elif "properties" in group:
            group = _resolve(group["properties"][part], schema)
        else:
            group = _resolve(next(iter(group["patternProperties"].values())), schema)
    return list(group["properties"])


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref") or next((option["$ref"] for option in node.get("anyOf", ()) if "$ref" in option), None)
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node


def _suggestion(key: str, known: list[str]) -> str:
    nearest = get_close_matches(key, known, n=1)
    return f"did you mean '{nearest[0]}'?" if nearest else f"expected one of: {', '.join(known) or 'no key at all'}"


def _expectation(problem: ErrorDetails) -> str:
    if problem["type"] == "string_pattern_mismatch":
        return PATTERNS[problem["ctx"]["pattern"]]
    plain = {
        "model_type": "a mapping of keys to values",
        "dict_type": "a mapping of keys to values",
        "model_attributes_type": "a mapping of keys to values",
        "tuple_type": "a list",
        "too_short": "at least one item",
    }
    return plain.get(problem["type"], problem["msg"].removeprefix("Input should be "))


def _show(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."
