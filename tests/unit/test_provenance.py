"""The code digest changes with what a stage runs and with nothing else."""

from __future__ import annotations

import pytest

from fastvlm import provenance

STAGE = '''"""A stage."""

import json

from fastvlm.helper import help


def run(value: int) -> int:
    """Docstring."""
    return help(value)  # comment
'''
HELPER = """def help(value):
    from fastvlm.parts import deep

    return deep.twice(value)
"""
DEEP = "def twice(value):\n    return 2 * value\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "fastvlm"
    for name, text in {
        "__init__": "",
        "stage": STAGE,
        "helper": HELPER,
        "parts/__init__": "",
        "parts/deep": DEEP,
        "other": "X = 1\n",
    }.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    yield folder
    forget()


def forget():
    provenance._read.cache_clear()


def digest() -> str:
    forget()
    return provenance.code_digest("fastvlm.stage")


def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [("# comment", "# another"), ('"""Docstring."""\n    ', ""), ("A stage.", "The stage."), ("\n\n\n", "\n\n\n\n")],
)
def test_what_cannot_change_a_result_does_not_count(package, old, new):
    before = digest()
    edit(package / "stage.py", old, new)
    assert digest() == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("stage.py", "help(value)", "help(value + 1)"), ("stage.py", "-> int", "-> float"), ("parts/deep.py", "2 *", "3 *")],
)
def test_logic_counts_in_every_module_that_is_imported(package, file, old, new):
    before = digest()
    edit(package / file, old, new)
    assert digest() != before


def test_modules_that_are_not_imported_do_not_count(package):
    before = digest()
    (package / "other.py").write_text("X = 2\n")
    assert digest() == before


def test_a_module_that_is_not_there_is_an_error():
    with pytest.raises(ModuleNotFoundError, match=r"fastvlm\.nothing"):
        provenance.code_digest("fastvlm.nothing")


def test_machine_names_processor_and_versions():
    found = provenance.machine()
    assert found["cpu"] and found["cores"] >= 1
    assert found["torch"].startswith("2.") and found["transformers"].startswith("5.")


def test_without_git_the_commit_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "fastvlm")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.git_state() == {"commit": "none", "uncommitted": "none"}
    monkeypatch.setenv("PATH", "")
    assert provenance.git_state()["commit"] == "none"
