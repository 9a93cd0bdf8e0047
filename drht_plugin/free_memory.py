"""How much memory this process can still get."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/")
_UNLIMITED = 1 << 60
"""What cgroups state for no limit is above this (bytes)."""


class Room(NamedTuple):
    """Memory that can still be taken.

    Attributes:
        bytes: how much.
        where: what bounds it, as it follows "there are 2 GB".
    """

    bytes: int
    where: str


def free_memory() -> Room:
    """Return what this process can still take: of the machine, its container and its own limits.

    Swap counts. Where the system does not tell what is free, all of its memory does.
    """
    rooms = [_of_machine(_ROOT), *_of_cgroups(_ROOT), *_of_limits()]
    return min(rooms, key=lambda room: room.bytes)


def unswapped_memory() -> int:
    """Return how many bytes machine and container have without swapping; unlimited if unknown."""
    rooms = [_of_machine(_ROOT, swap=False), *_of_cgroups(_ROOT)]
    return min(room.bytes for room in rooms)


def _of_machine(root: Path, *, swap: bool = True) -> Room:
    """Return what the machine has free."""
    facts = _fields(root / "proc/meminfo")
    if "MemAvailable" in facts:
        free = facts["MemAvailable"] + (facts.get("SwapFree", 0) if swap else 0)
        return Room(free << 10, "free on this machine")
    try:
        return Room(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "on this machine")
    except (AttributeError, OSError, ValueError):  # Windows
        return Room(sys.maxsize, "on this machine")


def _of_cgroups(root: Path) -> Iterator[Room]:
    """Yield what the control groups of this process leave, of either version."""
    for folder, limit, used in _cgroup_files(root):
        # Those that a container does not see count as unlimited.
        most, taken = _number(folder / limit), _number(folder / used)
        if most is None or taken is None or most >= _UNLIMITED:
            continue
        facts = _fields(folder / "memory.stat")
        prefix = "total_" if "total_inactive_file" in facts else ""
        cached = sum(facts.get(f"{prefix}{name}_file", 0) for name in ("active", "inactive"))
        yield Room(max(most - taken + cached, 0), "left to this container or service")


def _cgroup_files(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield each group's folder, and the names of the files of its limit and of what it uses."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            mount, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in kinds.split(","):
            mount = root / "sys/fs/cgroup/memory"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = mount / path.lstrip("/")
        for each in (folder, *folder.parents):
            yield each, *names
            if each == mount:
                break


def _of_limits() -> Iterator[Room]:
    """Yield what the limits of this process leave."""
    try:
        import resource
    except ImportError:  # Windows
        return
    facts = _fields(Path("/proc/self/status"))
    kinds = (("RLIMIT_AS", "VmSize", "ulimit -v"), ("RLIMIT_DATA", "VmData", "ulimit -d"))
    for kind, used, name in kinds:
        limit = resource.getrlimit(getattr(resource, kind))[0]
        if limit != resource.RLIM_INFINITY:
            left = max(limit - (facts.get(used, 0) << 10), 0)
            yield Room(left, f"left by {name}, which is {limit >> 10}")


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers of a file of lines of names and numbers; none where it cannot be read."""
    found = {}
    try:
        for line in path.read_text().splitlines():
            words = line.replace(":", " ").split()
            if len(words) >= 2 and words[1].isdigit():
                found[words[0]] = int(words[1])
    except OSError:
        pass
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" is no limit
        return None
