"""Where GIMP's profiles are, and what a GIMP in a sandbox sees of the computer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_FLATPAK = Path(".var/app/org.gimp.GIMP")
_SNAP = Path("snap/gimp")
_IN_FLATPAK, _IN_SNAP = _FLATPAK / "config/GIMP", _SNAP / "current/.config/GIMP"

_OF_FLATPAK = ("app", "bin", "etc", "lib", "lib32", "lib64", "root", "run", "sbin", "usr", "var")
"""Folders of `/` that are Flatpak's own in its sandbox, whatever it may see of the computer."""


def profiles(home: Path, environment: Mapping[str, str], platform: str) -> list[Path]:
    """Find the existing profile folders of GIMP 3, including those of Flatpak and Snap.

    Args:
        home: the user's home folder.
        environment: environment variables; if GIMP3_DIRECTORY is set, its folder is the only one.
        platform: as `sys.platform`.

    Returns:
        Profile folders, such as ~/.config/GIMP/3.0.
    """
    if named := environment.get("GIMP3_DIRECTORY"):
        return [Path(named)]
    if platform == "win32":
        parents = [Path(environment.get("APPDATA", home / "AppData/Roaming"), "GIMP")]
    elif platform == "darwin":
        parents = [home / "Library/Application Support/GIMP"]
    else:
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        parents = [config / "GIMP", home / _IN_FLATPAK, home / _IN_SNAP]
    return [
        folder
        for parent in parents
        for folder in sorted(parent.glob("3.*"))
        if folder.is_dir() and re.fullmatch(r"3\.\d+", folder.name)
    ]


def hidden_from_gimp(profile: Path, home: Path, paths: Iterable[Path]) -> tuple[str, Path] | None:
    """Find what the GIMP of a profile cannot see, if it runs in a sandbox.

    Flatpak has folders such as /usr of its own. Snap sees the home folder only, and of that nothing
    in folders whose names begin with a dot.

    Args:
        profile: profile folder of GIMP.
        home: the user's home folder, absolute.
        paths: absolute paths of files that it needs; links are followed.

    Returns:
        The sandbox and the first path that it hides; None if it hides none, or there is none.
    """
    sandbox = (
        "Flatpak"
        if profile.is_relative_to(home / _FLATPAK)
        else "Snap"
        if profile.is_relative_to(home / _SNAP)
        else None
    )
    if sandbox is None:
        return None
    homes = (home, home.resolve())
    for path in paths:
        for each in (path, path.resolve()):
            below = next((each.relative_to(h) for h in homes if each.is_relative_to(h)), None)
            if sandbox == "Flatpak":
                hidden = below is None and each.parts[1:2] and each.parts[1] in _OF_FLATPAK
            else:
                hidden = below is None or below.parts[0].startswith(".")
            if hidden:
                return sandbox, each
    return None
