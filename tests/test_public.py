from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import drht_plugin
from drht_plugin import errors

HEAVY = ("torch", "numba", "pyvips", "OpenImageIO", "cv2", "safetensors")


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return run.stdout.strip()


def test_import_is_quick() -> None:
    """Importing the package takes under 0.15 s."""
    code = (
        "import time; start = time.perf_counter(); import drht_plugin; "
        "print(time.perf_counter() - start)"
    )
    assert min(float(python(code)) for _ in range(5)) < 0.15


def test_import_loads_nothing_heavy() -> None:
    """Importing the package, its errors and its command loads no heavy package."""
    code = (
        "import sys, drht_plugin, drht_plugin.errors, drht_plugin.cli; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert python(code) == "[]"


def test_public_names() -> None:
    """Every public name is there, documented, sorted, and listed by dir; nothing else is meant."""
    names = drht_plugin.__all__
    assert names == sorted(set(names))
    assert {"correct", "estimate_hdr", "render", "correct_file", "Corrector", "Scene"} <= set(names)
    for name in names:
        value = getattr(drht_plugin, name)
        assert not isinstance(value, ModuleType)
        assert inspect.getdoc(value), name
        assert name in dir(drht_plugin)
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree <= set(names)


def test_unknown_name() -> None:
    """A name that the package does not have is an AttributeError that says so."""
    with pytest.raises(AttributeError, match=r"drht_plugin.*no attribute 'repair'"):
        drht_plugin.repair  # noqa: B018


def test_names_outlive_submodules() -> None:
    """Importing every submodule puts no module in the place of a public function."""
    names = [
        module.name
        for module in pkgutil.walk_packages(drht_plugin.__path__, "drht_plugin.")
        if "__main__" not in module.name
    ]
    assert "drht_plugin.engine.correct" in names
    code = f"""
import importlib, types, drht_plugin
for name in {names}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        assert "drht_plugin" not in (getattr(error, "name", None) or ""), error
shadowed = [n for n in drht_plugin.__all__ if isinstance(getattr(drht_plugin, n), types.ModuleType)]
print(shadowed, drht_plugin.correct.__module__)
"""
    assert python(code) == "[] drht_plugin.calls"


def test_errors_are_one_tree() -> None:
    """One except clause catches them all; bad arguments are ValueErrors too."""
    tree = [v for v in vars(errors).values() if isinstance(v, type) and not issubclass(v, Warning)]
    assert all(issubclass(each, drht_plugin.DrhtError) for each in tree)
    assert issubclass(drht_plugin.InputError, ValueError)
    assert issubclass(drht_plugin.ReadError, drht_plugin.FileError)
    assert issubclass(drht_plugin.WriteError, drht_plugin.FileError)
    assert issubclass(drht_plugin.DependencyError, ImportError)
