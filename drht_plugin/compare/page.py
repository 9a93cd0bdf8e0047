"""Write a page that shows pictures before and after."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from drht_plugin.compare.pairs import Pair
from drht_plugin.errors import InputError, WriteError
from drht_plugin.io import Damaged
from drht_plugin.libvips.said import said
from drht_plugin.storage import replacing_folder

_INDEX, _DATA, _VIEWER, _PICTURES = "index.html", "pictures.js", "viewer", "pictures"
_MARK = '<meta name="generator" content="drht_plugin compare">'

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Page:
    """A page that was written.

    Attributes:
        index: the file to open in a browser.
        failures: the pairs that are not on it, each with what went wrong.
    """

    index: Path
    failures: tuple[tuple[Pair, Exception], ...] = ()


def require_free(folder: Path, *, overwrite: bool) -> None:
    """Check that a page may be written to a folder.

    Args:
        folder: where the page goes.
        overwrite: whether an earlier page there is replaced.

    Raises:
        InputError: something is there: a page, unless `overwrite`; or anything else than a page.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; a page is a folder of files")
    held = {entry.name for entry in folder.iterdir()}
    if not held:
        return
    if not held <= {_INDEX, _DATA, _VIEWER, _PICTURES} or not _is_page(folder):
        raise InputError(f"{folder}: holds other files than a page; name a new folder")
    if not overwrite:
        raise InputError(f"{folder}: already exists; --overwrite replaces it")


def _is_page(folder: Path) -> bool:
    try:
        return _MARK in (folder / _INDEX).read_text("utf-8")
    except (OSError, ValueError):
        return False


def write_page(
    pairs: Sequence[Pair],
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    damaged: Damaged = "refuse",
    progress: Progress | None = None,
) -> Page:
    """Write a page that shows pictures before and after, whole or not at all.

    The page is a folder with all that it needs: it opens from the disk in any browser, and loads
    nothing from elsewhere. Pictures are cut into tiles of several sizes, so that those of any size
    open at once. Each is upright, in sRGB or Display P3; linear light is shown by an exposure.

    Args:
        pairs: pictures of the page, in its order.
        folder: where it goes; it may not hold anything else.
        overwrite: whether to replace a page that is there.
        damaged: "refuse" leaves out pairs with damaged pixels; "keep" shows what can be read.
        progress: is called with the name of a pair and the share of it that is done, 0 to 1.

    Returns:
        Where the page is, and which pairs are not on it, as they cannot be read.

    Raises:
        InputError: there are no pairs, two pictures of a pair differ in size, or something else
            is in the folder; nothing is written.
        ReadError: no pair can be read.
        WriteError: the page cannot be written.
    """
    target = Path(folder)
    require_free(target, overwrite=overwrite)
    if not pairs:
        raise InputError("there are no pictures to compare")
    failures: list[tuple[Pair, Exception]] = []
    parts: list[tuple[Pair, list[_Part]]] = []
    for pair in pairs:
        try:
            parts.append((pair, _parts_of(pair, damaged)))
        except InputError:
            raise
        except Exception as error:
            failures.append((pair, error))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(target) as new:
            _fill(new, parts, failures, damaged, progress or (lambda name, share: None))
    except OSError as error:
        raise WriteError(f"{target}: cannot be written: {error.strerror or error}") from error
    return Page(target / _INDEX, tuple(failures))


@dataclass(frozen=True)
class _Part:
    """One picture of a pair: its name on the page, its file, and the orientation of its pixels."""

    name: str
    path: Path
    turn: int


def _parts_of(pair: Pair, damaged: Damaged) -> list[_Part]:
    from drht_plugin.compare._display import stored

    before, after = stored(pair.before, damaged=damaged), stored(pair.after, damaged=damaged)
    parts = [_Part("before", pair.before, before.turn), _Part("after", pair.after, after.turn)]
    sizes = [before.size, after.size]
    if pair.hdr is not None:
        hdr = stored(pair.hdr, damaged=damaged)
        parts.append(_Part("hdr", pair.hdr, hdr.turn))
        sizes.append(hdr.size)
    for part, size in zip(parts, sizes, strict=True):
        if size != sizes[0]:
            first, other = (f"{width}×{height}" for height, width in (sizes[0], size))
            raise InputError(
                f"{pair.before} has {first} pixels and {part.path} has {other}; "
                "pictures of one size can be compared"
            )
    return parts


def _fill(
    new: Path,
    pairs: Sequence[tuple[Pair, list[_Part]]],
    failures: list[tuple[Pair, Exception]],
    damaged: Damaged,
    progress: Progress,
) -> None:
    """Write everything into an empty folder; pairs that cannot be read are added to `failures`."""
    entries = []
    for number, (pair, parts) in enumerate(pairs, 1):
        place = new / _PICTURES / f"{number}"
        place.mkdir(parents=True)
        try:
            made = _write_parts(parts, place, new.parent, damaged, partial(progress, pair.name))
        except (OSError, WriteError):  # the disk is full, say
            raise
        except Exception as error:
            failures.append((pair, error))
            shutil.rmtree(place)
        else:
            entries.append({"name": pair.name, "place": f"{_PICTURES}/{number}/", **made})
    if not entries:
        raise failures[0][1]
    # JSON is JavaScript, and escapes keep it ASCII, whatever names hold.
    (new / _DATA).write_text(f"const PICTURES = {json.dumps(entries, indent=1)};\n", "ascii")
    with as_file(files(__package__) / _VIEWER) as viewer:
        shutil.copytree(viewer, new / _VIEWER, ignore=shutil.ignore_patterns(_INDEX))
        shutil.copyfile(viewer / _INDEX, new / _INDEX)


def _write_parts(
    parts: Sequence[_Part],
    place: Path,
    scratch: Path,
    damaged: Damaged,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    import pyvips

    from drht_plugin.compare._display import shown
    from drht_plugin.compare._pyramid import write_pyramid

    made = {}
    for number, part in enumerate(parts):

        def report(share: float, number: int = number) -> None:
            progress((number + share) / len(parts))

        room = scratch / f"{place.name}-{part.name}.v"  # libvips remembers files by name
        try:
            with shown(part.path, room, damaged=damaged, turn=part.turn) as picture:
                made[part.name] = write_pyramid(picture, place, part.name, report)
        except pyvips.Error as error:
            raise WriteError(f"{part.path}: its tiles cannot be written: {said(error)}") from error
        with suppress(OSError):
            room.unlink()
    progress(1.0)
    return made
