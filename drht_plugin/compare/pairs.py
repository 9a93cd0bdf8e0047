"""Which picture is compared with which."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from drht_plugin.errors import InputError
from drht_plugin.io import readable_suffixes

_ESTIMATE = "-hdr"
_CORRECTED = "-corrected"


@dataclass(frozen=True)
class Pair:
    """A picture before and after.

    Attributes:
        name: what the page calls it.
        before: file of the picture.
        after: file of the corrected picture, of the same size.
        hdr: file of the HDR estimate; None where there is none.
    """

    name: str
    before: Path
    after: Path
    hdr: Path | None = None


def find_pairs(
    before: Path, after: Path, hdr: Path | None = None
) -> tuple[list[Pair], dict[Path, str]]:
    """Pair the pictures of two folders by their names, or take two files as a pair.

    In folders, subfolders included, a picture belongs to the one of the same name, or else to the
    only other one that has its name and another suffix, in addition or in its place, or
    ``NAME-corrected``. Both may be one folder, with results beside their pictures.
    ``NAME-hdr.exr`` beside the picture after is the HDR estimate, in folders and of two files; NAME
    is that of the picture before with its suffix, or else, without one, that of the picture after
    or before.

    Args:
        before: a file, or a folder.
        after: likewise.
        hdr: file of the HDR estimate; with folders, the folder of the estimates.

    Returns:
        The pairs, sorted by name; and the pictures that have no counterpart, each with the reason.

    Raises:
        InputError: one is a folder and the other is not, or no pictures belong together.
    """
    if not before.is_dir() and not after.is_dir():
        estimate = hdr or _estimate_of(before, after, after.parent)
        return [Pair(before.name, before, after, estimate)], {}
    for path in (before, after, *(() if hdr is None else (hdr,))):
        if not path.is_dir():
            raise InputError(f"{path}: is not a folder; give two files, or two folders")
    firsts, seconds = _pictures(before), _pictures(after)
    if os.path.samefile(before, after):  # results beside their pictures
        results = {name for name in firsts if Path(name).stem.endswith(_CORRECTED)}
        firsts = {name: path for name, path in firsts.items() if name not in results}
        seconds = {name: path for name, path in seconds.items() if name in results}
    by_stem = defaultdict(list)
    for name in (name for name in seconds if name not in firsts):
        by_stem[_stem(name, _CORRECTED)].append(name)
    pairs, left_out = [], {}
    for name, path in firsts.items():
        # `drht correct` writes a.gif and a.tif as a.gif.png and a.tif
        found = [name] if name in seconds else by_stem[name] or by_stem[_stem(name)]
        if len(found) != 1:
            several = f"several counterparts in {after}: {', '.join(sorted(found))}"
            left_out[path] = f"has {several if found else f'no counterpart in {after}'}"
            continue
        counterpart = seconds[found[0]]
        folder = counterpart.parent if hdr is None else (hdr / name).parent
        pairs.append(Pair(name, path, counterpart, _estimate_of(path, counterpart, folder)))
    used = {pair.after for pair in pairs}
    unused = (path for path in seconds.values() if path not in used)
    left_out |= dict.fromkeys(unused, f"has no counterpart in {before}")
    if not pairs:
        raise InputError(
            f"{before} and {after}: no pictures in them have names that belong together"
        )
    return pairs, left_out


def _pictures(folder: Path) -> Mapping[str, Path]:
    """Return the picture files below a folder by their relative names, without estimates."""
    suffixes, found = readable_suffixes(), {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            estimate = path.suffix.lower() == ".exr" and path.stem.endswith(_ESTIMATE)
            if path.suffix.lower() in suffixes and not name.startswith(".") and not estimate:
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def _stem(name: str, ending: str = "") -> str:
    return str(Path(name).with_suffix("")).removesuffix(ending)


def _estimate_of(before: Path, after: Path, folder: Path) -> Path | None:
    names = (before.name, after.stem, before.stem)  # `drht correct` adds the suffix at need
    paths = (folder / f"{name}{_ESTIMATE}.exr" for name in names)
    return next((path for path in paths if path.is_file()), None)
