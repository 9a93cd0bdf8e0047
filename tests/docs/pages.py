"""The commands and the Python of a Markdown page, and how they are run."""

from __future__ import annotations

import glob
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from drht_plugin.cli import main

_FENCE = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = set("|<>&;$`")


class Snippet(NamedTuple):
    """One fenced block: its language, its text, and the number of lines of the page before it."""

    language: str
    text: str
    line: int


def snippets(page: Path) -> Iterator[Snippet]:
    """The blocks of a page that are marked `bash` or `python`, and nothing else."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        yield Snippet(found[1], found[2], text.count("\n", 0, found.start(2)))


def run(page: Path, names: dict[str, Any]) -> None:
    """Run the blocks of a page in the current folder, in their order.

    All Python shares the namespace `names`. Plain lines of `drht` run in this process, which has
    the networks loaded; all other commands run in a shell.

    Raises:
        AssertionError: a command failed; names the page and its line.
    """
    for language, text, line in snippets(page):
        if language == "python":
            exec(compile("\n" * line + text, str(page), "exec"), names)
            continue
        for number, command in enumerate(text.splitlines(), line + 1):
            code = _drht(command) if _is_plain(command) else _shell(command)
            assert code == 0, f"{page.name}:{number}: exit code {code} of {command}"


def _is_plain(command: str) -> bool:
    return command.startswith("drht ") and not _SHELL & set(command.split("#")[0])


def _drht(command: str) -> int:
    words = shlex.split(command, comments=True)[1:]
    arguments = [name for word in words for name in sorted(glob.glob(word)) or [word]]
    try:
        return main(arguments)
    except SystemExit as end:  # of --help
        return int(end.code or 0)


def _shell(command: str) -> int:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(shell, env={**os.environ, "PATH": path}, timeout=300).returncode
