"""pyproject.toml and environment.yml name the same versions, and every package that the code imports."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions

import yaml

from tests.workspace import PROJECT

PROJECT_TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
PINS = PROJECT_TABLE["dependencies"] + PROJECT_TABLE["optional-dependencies"]["test"]


def test_environment_file_has_the_same_pins():
    dependencies = yaml.safe_load((PROJECT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    assert sorted(pip) == sorted([*PINS, "--editable ."])


def test_every_pin_is_exact():
    assert all("==" in pin for pin in PINS)


def test_every_import_is_pinned():
    names = {pin.split("==")[0].lower() for pin in PINS}
    owners = packages_distributions()
    for path in [*(PROJECT / "fastvlm").rglob("*.py"), *(PROJECT / "tests").rglob("*.py")]:
        for module in imported(path):
            if module not in sys.stdlib_module_names | {"fastvlm", "benchmarks", "tests", "pydantic_core"}:
                assert {owner.lower() for owner in owners[module]} & names, f"{path}: {module} is not pinned"


def imported(path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    from_ = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | from_}
