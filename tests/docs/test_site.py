"""The documentation's site is complete and its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import drht_plugin
import drht_plugin.vips

TOP = Path(__file__).parents[2]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning as an error."""
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=TOP,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_reference_has_every_public_name(site: Path) -> None:
    """The reference describes each name of `__all__`, and no private one."""
    pages = {"library": drht_plugin, "vips": drht_plugin.vips}
    for page, module in pages.items():
        text = (site / "reference" / f"{page}.html").read_text("utf-8")
        prefix = re.escape(module.__name__)
        shown = set(re.findall(rf'id="{prefix}\.(\w+)"', text))
        assert shown == set(module.__all__)
        assert not re.search(rf'id="{prefix}\.[\w.]*\b_', text)


def test_site_fetches_nothing(site: Path) -> None:
    """No page of the site loads a script, style, font or picture from elsewhere."""
    loads = re.compile(r'<(?:script|img|iframe)[^>]*src="?(?:https?:)?//|<link[^>]*href="?http')
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    assert [page.name for page in pages if loads.search(page.read_text("utf-8"))] == []


def test_readme_links_lead_somewhere() -> None:
    """Every relative link and picture of the README is a file of the repository."""
    links = _LINK.findall((TOP / "README.md").read_text("utf-8"))
    relative = [link for link in links if not link.startswith("https://")]
    assert len(relative) > 10
    assert [link for link in relative if not (TOP / link.split("#")[0]).exists()] == []
