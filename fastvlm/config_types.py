"""The kinds of values that knobs have, and the group of knobs that refuses what it does not know."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

NAME, REPOSITORY, COMMIT = r"^[a-z0-9-]+$", r"^[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*$", r"^[0-9a-f]{40}$"
PATTERNS = {  # what errors call them
    NAME: "lower-case letters, digits and hyphens",
    REPOSITORY: "owner/name, as the hub writes it",
    COMMIT: "a commit, 40 hexadecimal digits, or null",
}
Name = Annotated[str, StringConstraints(pattern=NAME)]
Repository = Annotated[str, StringConstraints(pattern=REPOSITORY)]
Commit = Annotated[str, StringConstraints(pattern=COMMIT)]
Text = Annotated[str, StringConstraints(min_length=1)]
Count = Annotated[int, Field(ge=1)]
CountOrAll = Annotated[int | None, Field(ge=1)]
Steps = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Task = Literal["caption", "dialogue", "question", "description", "vqa"]
Network = Literal["transformer", "mlp"]
Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["float32", "float16", "bfloat16"]


def as_tuple(values: Any) -> Any:
    return tuple(values) if isinstance(values, list) else values


def _ascending(values: Any) -> Any:
    """A list of numbers as a tuple, refused unless each is larger than the one before; element types are pydantic's to judge."""
    if isinstance(values, list) and all(isinstance(value, int) for value in values) and values != sorted(set(values)):
        raise ValueError("expected distinct numbers in ascending order")
    return as_tuple(values)


Ascending = Annotated[tuple[Count, ...], Field(min_length=1), BeforeValidator(_ascending)]


class Knobs(BaseModel):
    """A group of knobs: unknown keys are refused, values are not converted and do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def check_multiple(key: str, value: int, unit_key: str, unit: int) -> None:
    """Raise the `ValueError` of a group's validator unless `value` is a multiple of `unit`."""
    if value % unit:
        raise ValueError(f"{key}: found {value}, expected a multiple of {unit_key} = {unit}")
