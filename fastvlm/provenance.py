"""Where a result came from: the code that a stage runs, and the machine that ran it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastvlm.errors import UserError

PACKAGE = Path(__file__).parent
MACHINES = "machines.json"  # beside the rows of a decode job: their machines' records, by the id that a row carries
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(module: str) -> str:
    """Digest of the syntax trees of `module` ('fastvlm.rows') and of all modules of the package that it imports, however deep.

    Comments, docstrings and layout do not count, so that only an edit that can change a result makes one stale.
    """
    modules = sorted(_closure(module))
    return hashlib.sha256("\n".join(f"{name} {_read(name)[0]}" for name in modules).encode()).hexdigest()[:16]


def _closure(module: str) -> set[str]:
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_read(name)[1])
    return found


def _file_of(module: str) -> Path | None:
    """The source file of a module of the package; None for a name that is no such module."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """(digest of its syntax tree, what it imports of the package): a module is parsed once for both."""
    tree, names = _parse(module), set()
    for node in ast.walk(tree):
        names.update(_imported_names(node))
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), _of_package(names)


def _of_package(names: set[str]) -> tuple[str, ...]:
    """The package's modules among imported names, and the packages that hold them."""
    inside = {name for name in names if name.split(".")[0] == PACKAGE.name}
    parents = {name.rsplit(".", cut)[0] for name in inside for cut in range(1, name.count(".") + 1)}
    return tuple(sorted(name for name in inside | parents if _file_of(name)))


def _parse(module: str) -> ast.Module:
    file = _file_of(module)
    if file is None:
        raise ModuleNotFoundError(f"{module}: no such module of {PACKAGE.name}")
    return ast.parse(file.read_text())


def _imported_names(node: ast.AST) -> Iterator[str]:
    """Names of an absolute import; for `from package import name` also package.name, which may be a module itself."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def machine() -> dict[str, Any]:
    """The machine and the versions that a measurement belongs to: whatever may change a time. The host's name does not."""
    import torch

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "clock_mhz": _clock(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "driver": _driver(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def machine_id(record: dict[str, Any]) -> str:
    """What rows carry in place of the record."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:8]


def read_machines(folders: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """id -> record of all machines that decoded the rows in the folders; raises `UserError` where the records are missing."""
    found: dict[str, dict[str, Any]] = {}
    for path in [folder / MACHINES for folder in folders]:
        if not path.is_file():
            raise UserError(f"{path}: no such file; expected the machines' records that the decode stage writes; run it again")
        found |= json.loads(path.read_text())
    return found


def _clock() -> int | None:
    """The processor's highest clock in MHz, where the kernel tells it."""
    frequency = Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return int(frequency.read_text()) // 1000 if frequency.is_file() else None


def _driver() -> str:
    """NVIDIA's kernel driver, where there is one."""
    path = Path("/sys/module/nvidia/version")
    return path.read_text().strip() if path.is_file() else "none"


def _cpu_model() -> str:
    """The kernel's name for the processor where it tells one: `platform.processor` is empty on many Linuxes."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def git_state() -> dict[str, str]:
    """The commit, and a digest of what differs from it; 'none' where there is no repository or no difference."""
    commit, difference = _git("rev-parse", "HEAD"), _git("diff", "HEAD")
    return {"commit": commit or "none", "uncommitted": hashlib.sha256(difference.encode()).hexdigest()[:16] if difference else "none"}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
