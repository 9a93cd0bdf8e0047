from __future__ import annotations

import datetime
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import drht_plugin

TOP = Path(__file__).parents[2]


def test_version_is_the_same_everywhere() -> None:
    """The package, its installed metadata, the command and the newest release notes agree."""
    done = subprocess.run(
        [sys.executable, "-m", "drht_plugin.cli", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    notes = (TOP / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", notes, re.MULTILINE)
    number, date = released[0]
    datetime.date.fromisoformat(date)
    assert drht_plugin.__version__ == number
    assert version("drht-plugin") == number
    assert done.stdout == f"drht {number}\n"


def test_version_is_stated_once() -> None:
    """No other file of the package or of its configuration states the version."""
    stated = f'version[^\\n]*=\\s*"{re.escape(drht_plugin.__version__)}"'
    package = Path(drht_plugin.__file__).parent
    files = [TOP / "pyproject.toml", *package.rglob("*.py")]
    found = [path.name for path in files if re.search(stated, path.read_text("utf-8"))]
    assert found == ["_version.py"]
