"""A number in prose is a file, a command in prose is a test."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser
from typer.main import get_command

from fastvlm.cli import app
from fastvlm.readme import markers, render, update_readme
from tests.workspace import PROJECT as ROOT

README = (ROOT / "README.md").read_text()
CLUSTER = (ROOT / "docs/on-your-cluster.md").read_text()
COMMANDS = [
    *(line for block in re.findall(r"```sh\n(.*?)```", README + CLUSTER, re.DOTALL) for line in block.splitlines()),
    *re.findall(r"`((?:snakemake|fastvlm) [^`]+)`", README + CLUSTER),
]
PUBLISHED = sorted(path for path in (ROOT / "docs" / "results").iterdir() if path.is_dir())


@pytest.mark.parametrize("published", PUBLISHED, ids=lambda path: path.name)
def test_every_number_is_that_of_the_published_run(published):
    begin, end = markers(published.name)
    block = README.split(begin)[1].split(end)[0].strip()
    assert block == render(published)


def test_prose_holds_no_measured_number():
    """Outside the rendered blocks no speed-up, rate or share is typed by hand: no decimal fraction, percentage or 'x times'."""
    prose = re.sub(r"<!-- results of.*?<!-- end of results of \w+ -->", "", README, flags=re.DOTALL)
    prose = re.sub(r"\(http\S+\)|arXiv \d+\.\d+|Python 3\.\d+|1\.00", "", prose)
    assert not re.search(r"\d\.\d|\d ?%|\d ?(x|times)\b(?! 128)", prose)


@pytest.mark.parametrize("target", sorted({*re.findall(r"^make ?([a-z]*)", README, re.MULTILINE), *re.findall(r"`make ([a-z]+)", README)}))
def test_make_targets_exist(target):
    found = subprocess.run(["make", "--dry-run", *([target] if target else []), "FOLDER=x"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("command", sorted({line for line in COMMANDS if line.startswith("snakemake ")}))
def test_snakemake_knows_the_options_and_the_files_are_there(command):
    told = get_argument_parser().parse_args(shlex.split(command)[1:])
    assert all((ROOT / path).exists() for path in [*(told.profile or []), *map(str, told.configfile or [])])


@pytest.mark.parametrize("command", sorted({line for line in COMMANDS if line.startswith("fastvlm ")}))
def test_fastvlm_knows_the_commands(command):
    name, *options = shlex.split(command)[1:]
    known = get_command(app).commands
    assert name.startswith("-") or {option for option in options if option.startswith("--")} <= {
        text for parameter in known[name].params for text in parameter.opts
    }


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_links_and_pictures_exist(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("path", re.findall(r"^((?:fastvlm|tests|docs|workflow|profiles)[\w/]*)", README, re.MULTILINE))
def test_the_tree_is_there(path):
    assert (ROOT / path).is_dir()


def test_an_edited_number_would_be_seen(tmp_path):
    """The README's block is replaced by what the published files say, and by nothing else."""
    published = PUBLISHED[0]
    begin, end = markers(published.name)
    page = tmp_path / "README.md"
    page.write_text(f"before\n{begin}\n9.99 times\n{end}\nafter\n")
    update_readme(page, published)
    assert page.read_text() == f"before\n{begin}\n{render(published)}\n{end}\nafter\n"


def test_every_module_that_architecture_names_is_there():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    names = set(re.findall(r"`((?:fastvlm|models|decoding|imitation|metrics|data|tests)/[\w/]+\.py)`", text))
    assert names
    for name in names:
        assert any((Path(base) / name).is_file() for base in (ROOT, ROOT / "fastvlm")), name
