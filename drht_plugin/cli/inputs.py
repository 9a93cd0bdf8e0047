"""The pictures that `drht correct` is given: files, folders, patterns, and stdin."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from drht_plugin.cli.exits import print_note
from drht_plugin.errors import InputError
from drht_plugin.storage import scratch_folder, temporary_folder

STDIN = "-"
"""The name that stands for stdin."""

RESULT_ENDINGS = ("-corrected", "-hdr")


@dataclass(frozen=True)
class Input:
    """One picture to correct.

    Attributes:
        source: its name, as given; in a folder, the folder as given and the path from there.
        path: what is opened.
        place: where its result goes in a folder of results: a relative path with the file's name.
        named: whether it was named by itself, rather than found in a folder.
    """

    source: str
    path: str
    place: Path
    named: bool = True


@contextmanager
def open_inputs(
    given: Sequence[str],
    *,
    recursive: bool,
    output: Path | None,
    endings: tuple[str, ...] = RESULT_ENDINGS,
) -> Iterator[list[Input]]:
    """Find the pictures of a command line; what stdin brings lies in a file meanwhile.

    A file that is named twice, or named and found in a folder, counts once. In folders, names that
    begin with a dot, files whose suffix is no picture's, and results of earlier runs are left out.

    Args:
        given: names of files and folders, patterns, and "-" for stdin.
        recursive: whether folders within folders count.
        output: where the results go; pictures there are no inputs.
        endings: what names of results beside their pictures end in.

    Yields:
        The pictures, in order.

    Raises:
        InputError: no folder has pictures; stdin is a terminal, or its result has no name.
    """
    with ExitStack() as files:
        found: dict[str, Input] = {}
        empty: list[str] = []
        for name in _expanded(given):
            if name == STDIN:
                if name not in found:
                    found[name] = _from_stdin(files.enter_context(_stdin_file(output)))
            elif os.path.isdir(name):
                pictures = _in_folder(name, endings, recursive=recursive, output=output)
                if not pictures:
                    deeper = "" if recursive else "; --recursive looks into the folders in it"
                    empty.append(f"{name}: has no pictures that are read{deeper}")
                for each in pictures:
                    found.setdefault(os.path.abspath(each.path), each)
            else:
                each = Input(name, name, Path(Path(name).name or "unnamed"))
                found.setdefault(os.path.abspath(name), each)
        if not found:
            raise InputError("; ".join(empty))
        for note in empty:
            print_note(note)
        yield list(found.values())


def _expanded(given: Sequence[str]) -> Iterator[str]:
    """Replace patterns by the files that they match, as shells do; some leave it to programs."""
    for name in given:
        if glob.has_magic(name) and not os.path.lexists(name):
            yield from sorted(glob.glob(name, recursive=True)) or [name]
        else:
            yield name


def _from_stdin(path: str) -> Input:
    return Input(STDIN, path, Path("stdin"))


@contextmanager
def _stdin_file(output: Path | None) -> Iterator[str]:
    """Store what stdin brings in a file for a while, and yield its path."""
    if output is None:
        raise InputError("the picture from stdin has no name; --output says where the result goes")
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("- stands for a picture from stdin, which is a terminal")
    with scratch_folder(temporary_folder()) as folder:
        path = folder / STDIN
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield str(path)


def _in_folder(
    folder: str, endings: tuple[str, ...], *, recursive: bool, output: Path | None
) -> list[Input]:
    """Return the pictures of a folder, in order."""
    from drht_plugin.io import readable_suffixes

    known = readable_suffixes()
    results = None if output is None else os.path.realpath(output)
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if recursive
            and not name.startswith(".")
            and os.path.realpath(os.path.join(parent, name)) != results
        )
        visible = [name for name in sorted(names) if not name.startswith(".")]
        stems = {os.path.splitext(name)[0] for name in visible}
        for name in visible:
            path = os.path.join(parent, name)
            stem, suffix = os.path.splitext(name)
            if (
                suffix.lower() in known
                and not _is_result(stem, stems, endings)
                and os.path.isfile(path)
            ):
                found.append(Input(path, path, Path(os.path.relpath(path, folder)), named=False))
    return found


def _is_result(stem: str, stems: set[str], endings: tuple[str, ...]) -> bool:
    """Return whether a name is what a run beside the pictures gives to the result of another."""
    return any(stem.endswith(ending) and stem.removesuffix(ending) in stems for ending in endings)
