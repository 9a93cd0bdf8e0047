"""Mounts files of the repository that lie outside docs/ in the site, and adapts links to them.

Links in the sources are those of the repository, so that they also work where Markdown is read
without the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

TOP = Path(__file__).parents[1]
MOUNTED = (
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "examples/*.py",
    "examples/pictures/*",
    "drht_plugin/model/weights/*.md",
)
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")


def on_files(files: Files, *, config: Any) -> Files:
    """Add the mounted files, each at its path in the repository."""
    for pattern in MOUNTED:
        found = sorted(TOP.glob(pattern))
        if not found:
            raise FileNotFoundError(f"{pattern}: nothing to mount in the documentation")
        for path in found:
            uri = path.relative_to(TOP).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links of the repository into links of the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(here if page.file.generated_by else f"docs/{here}")

    def adapted(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        in_site = target.removeprefix("docs/")
        return posixpath.relpath(in_site, posixpath.dirname(here) or ".")

    return _LINK.sub(adapted, markdown)
