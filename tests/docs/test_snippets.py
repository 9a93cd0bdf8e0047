"""What the documents tell the reader to run is run, on the example pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import pyvips
from pages import run, snippets

TOP = Path(__file__).parents[2]
PICTURES = TOP / "examples" / "pictures"
PAGES = [
    TOP / "README.md",
    TOP / "docs" / "pypi.md",
    TOP / "docs" / "tutorial.md",
    *sorted((TOP / "docs" / "how-to").glob("*.md")),
]
MEASURED = {"results.md", "benchmarks.md", "scaling.md"}
"""Pages whose commands take hours, or need data sets; they name what measured their figures."""

PREPARATION = """
import numpy as np
import pyvips
image = np.tile(pyvips.Image.new_from_file("small.jpg").numpy(), (13, 1, 1))
stored, icc = np.rot90(image), None
source, sink = image, np.empty_like(image)
"""
"""What the overviews call by names that they explain in words."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the pages name."""
    for path in PICTURES.glob("*.jpg"):
        shutil.copy(path, tmp_path)
    shutil.copy(PICTURES / "golden_gate_dark.jpg", tmp_path / "dark.jpg")
    shutil.copy(PICTURES / "golden_gate_bright.jpg", tmp_path / "bright.jpg")
    shutil.copy(PICTURES / "potsdamer_platz_dark.jpg", tmp_path / "panorama.jpg")
    panorama = pyvips.Image.new_from_file(str(tmp_path / "panorama.jpg"))
    panorama.write_to_file(str(tmp_path / "panorama.tif"))
    small = pyvips.Image.new_from_file(str(tmp_path / "dark.jpg")).resize(0.15)
    (tmp_path / "photos").mkdir()
    for name in ("small.jpg", "sky.png", "photos/evening.jpg"):
        small.write_to_file(str(tmp_path / name))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_page_runs(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command and every Python block of the page succeeds, in the page's order."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIMP3_DIRECTORY", str(folder / "GIMP"))
    names: dict[str, Any] = {"__name__": "__main__"}
    if page.name in {"README.md", "pypi.md"}:
        exec(PREPARATION, names)
    assert list(snippets(page))
    run(page, names)


def test_a_failing_block_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command or Python that fails is reported with the page's line."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    for command in ("drht correct nothing.jpg", "test -e nothing.jpg"):
        page.write_text(f"Text.\n\n```bash\ntrue\n{command}\n```\n")
        with pytest.raises(AssertionError, match=r"page\.md:5: exit code"):
            run(page, {})
    page.write_text("```python\na = 1\n```\n\n```python\nassert a == 2\n```\n")
    with pytest.raises(AssertionError) as raised:
        run(page, {})
    assert raised.traceback[-1].lineno == 5


def test_every_page_is_run() -> None:
    """A page with commands or Python is one of those that are run, or states measurements."""
    pages = {page for page in (TOP / "docs").rglob("*.md") if list(snippets(page))}
    assert {page.name for page in pages - set(PAGES)} == MEASURED
