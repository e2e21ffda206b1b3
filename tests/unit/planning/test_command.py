"""`fastvlm plan` as a person runs it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from fastvlm.cli import app
from fastvlm.errors import UserError
from tests.workspace import PROJECT

SMOKE = str(PROJECT / "config/smoke.yaml")


def plan(*arguments):
    result = CliRunner().invoke(app, ["plan", "--configfile", *arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    return result


def test_the_smoke_experiment_is_planned(tmp_path):
    output = tmp_path / "plan.csv"
    result = plan(SMOKE, "--tokens-per-second", "llava-tiny=500", "--results", str(tmp_path), "--output", str(output))
    assert result.exit_code == 0
    assert result.stdout.startswith("smoke: ")
    assert "trained here" in result.stdout and "given" in result.stdout
    assert len(output.read_text().splitlines()) == 1 + len(
        [line for line in result.stdout.splitlines() if "scenes-" in line or "(all)" in line]
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["absent.yaml"], "absent.yaml: not a configuration that can be read"),
        ([SMOKE, "--tokens-per-second", "gpt=3"], "--tokens-per-second gpt=3: no model 'gpt' in the configuration"),
        ([SMOKE, "--tokens-per-second", "llava-tiny=-1"], "--tokens-per-second llava-tiny=-1: found '-1', expected a number above 0"),
    ],
)
def test_bad_input_is_one_line(arguments, line):
    with pytest.raises(UserError) as caught:
        plan(*arguments)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)
