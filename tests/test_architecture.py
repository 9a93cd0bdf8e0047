"""The packages' boundaries: what imports may not cross; the layers stand in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import drht_plugin

ROOT = Path(drht_plugin.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each thing that a file imports from this package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == ROOT.name:
            for alias in node.names:
                yield node.module or "", alias.name


def _private_across(path: Path) -> list[str]:
    """What a file imports that another package keeps to itself: names that begin with `_`."""
    package = ".".join((ROOT.name, *path.relative_to(ROOT).parent.parts))
    found = []
    for module, name in _imports(path):
        parts = [*module.split("."), name]
        for at, part in enumerate(parts):
            owner = ".".join(parts[:at])
            private = part.startswith("_") and not part.startswith("__")
            if private and part != "_version" and owner not in (package, f"{package}.{path.stem}"):
                inside = package == owner or package.startswith(f"{owner}.")
                if not inside or owner == ROOT.name:
                    found.append(f"{path.relative_to(ROOT)}: {module}.{name}")
    return found


def test_no_private_name_crosses_packages() -> None:
    """No module imports a private module or name of another package."""
    assert [each for path in MODULES for each in _private_across(path)] == []


def test_a_private_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above sees private modules and private names, and lets a package use its own."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path / "drht_plugin")
    intruder = tmp_path / "drht_plugin" / "vips" / "intruder.py"
    intruder.parent.mkdir(parents=True)
    for line, found in (
        ("from drht_plugin.io._errors import CodecError", True),
        ("from drht_plugin.engine.plan import _band_rows", True),
        ("from drht_plugin.vips._coding import coding_of", False),
        ("from drht_plugin.engine.plan import plan_array", False),
    ):
        intruder.write_text(line)
        assert bool(_private_across(intruder)) == found, line


def test_modules_are_short() -> None:
    """No module has more than 450 lines, but the kernel of the slice, which is one pass."""
    long = {str(p.relative_to(ROOT)) for p in MODULES if len(p.read_text().splitlines()) > 450}
    assert long <= {"bridge/slicing.py"}


def test_layers_hold() -> None:
    """The layers in pyproject.toml hold: imports point one way."""
    pytest.importorskip("importlinter", reason="needs drht-plugin[dev]")
    config = ROOT.parent / "pyproject.toml"
    if not config.is_file():
        pytest.skip("the package is installed without its sources")
    run = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", run, str(config), "--no-cache"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent, check=False)
    assert ended.returncode == 0, ended.stdout
