"""Tables of several models as one."""

from __future__ import annotations

import pytest

from fastvlm.collect import collect
from fastvlm.errors import UserError


def write(path, text):
    path.write_text(text)
    return path


def test_rows_follow_each_other_led_by_experiment_and_model(tmp_path):
    tables = {name: write(tmp_path / f"{name}.csv", f"step,loss,model\n0,{loss},{name}\n") for name, loss in (("a", 2.5), ("b", 1.5))}
    collect("smoke", tables, tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_text() == "experiment,model,step,loss\nsmoke,a,0,2.5\nsmoke,b,0,1.5\n"


def test_other_columns_are_refused(tmp_path):
    tables = {"a": write(tmp_path / "a.csv", "step\n0\n"), "b": write(tmp_path / "b.csv", "steps\n0\n")}
    with pytest.raises(UserError, match=r"b\.csv: found the columns \['steps'\], expected \['step'\]"):
        collect("smoke", tables, tmp_path / "all.csv")
