"""What is built holds what it has to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PLUGIN = Path("gimp", "drht")

_BUILD = "import sys; from setuptools import build_meta as b; b.build_{}(sys.argv[1])"


def build(kind: str, source: Path, into: Path) -> Path:
    """Build a distribution with the setuptools that is installed."""
    command = [sys.executable, "-c", _BUILD.format(kind), str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=300)
    [made] = (path for path in into.iterdir() if path.is_file())
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution of the checkout.

    It is built from a copy without ignored files: setuptools adds what an earlier build noted.
    """
    ignored = (TOP / ".gitignore").read_text("utf-8").replace("/", "").split()
    copy = tmp_path_factory.mktemp("copy") / "drht"
    shutil.copytree(TOP, copy, ignore=shutil.ignore_patterns(".git", *ignored))
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", copy, folder)) as archive:
        archive.extractall(folder, filter="data")
    [unpacked] = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel that the source distribution builds."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build("wheel", sdist, folder)) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def plugin_files(folder: Path) -> dict[str, bytes]:
    """The plug-in's files in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def metadata(wheel: Path) -> Message:
    [path] = wheel.glob("*.dist-info/METADATA")
    return BytesParser().parsebytes(path.read_bytes())


def test_sdist_holds_what_is_committed(sdist: Path) -> None:
    """The source distribution holds every committed file."""
    if not (TOP / ".git").exists():
        pytest.skip("not a git checkout: nothing says what is committed")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True)
    committed = {name for name in done.stdout.decode().split("\0") if (TOP / name).is_file()}
    held = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert committed - held == set()
    assert {"tests/conftest.py", "tests/strategies.py", "gimp/drht/drht.py"} <= held
    assert not {name for name in held if "__pycache__" in name or name.endswith(".pyc")}


def test_wheel_holds_the_package_alone(sdist: Path, wheel: Path) -> None:
    """The wheel holds all modules and data of the package, the plug-in, and no other folder."""
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    package = sdist / "drht_plugin"
    data = {
        path.relative_to(sdist).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    installed = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    plugin = {f"drht_plugin/gimp_plugin/{name}" for name in plugin_files(sdist / PLUGIN)}
    assert "drht_plugin/gimp_plugin/drht_parts/worker.py" in plugin
    assert installed == data | plugin


def test_installed_package_brings_the_plug_in(wheel: Path, tmp_path: Path) -> None:
    """`drht gimp install` of a wheel puts the checkout's plug-in into a profile."""
    command = [sys.executable, "-m", "drht_plugin.cli", "gimp", "install", "--profile"]
    done = subprocess.run(
        [*command, str(tmp_path)],
        cwd=wheel,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    installed = plugin_files(tmp_path / "plug-ins" / "drht")
    assert installed.pop("worker.json")
    assert installed == plugin_files(TOP / PLUGIN)


def test_description_is_whole_without_the_repository(wheel: Path) -> None:
    """Links and pictures of the description, which package indexes show alone, are absolute."""
    said = metadata(wheel)
    assert said["Description-Content-Type"].startswith("text/markdown")
    links = re.findall(r"\]\(([^)\s]+)\)", str(said.get_payload()))
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_metadata_names_each_python(wheel: Path) -> None:
    """The classifiers name the Pythons that the metadata allows, and that CI installs on."""
    said = metadata(wheel)
    named = [
        each.removeprefix("Programming Language :: Python :: ")
        for each in said.get_all("Classifier", [])
        if each.startswith("Programming Language :: Python :: 3.")
    ]
    assert said["Requires-Python"] == f">={named[0]}"
    workflow = (TOP / ".github/workflows/ci.yml").read_text("utf-8")
    [matrix] = re.findall(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert matrix == ", ".join(f'"{version}"' for version in named)
