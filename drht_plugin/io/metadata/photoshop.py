"""Take out of Photoshop's image resources what shows or claims the picture as it was."""

import struct
from collections.abc import Collection, Iterator

_SIGNATURES = (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR")
_IPTC = 0x0404
_STALE = {
    0x0409: "Photoshop thumbnail",
    0x040C: "Photoshop thumbnail",
    **dict.fromkeys((0x0400, 0x0402, 0x0429, 0x042D, 0x0430), "Photoshop layers"),
}
"""Thumbnails (old and new); layers' state, groups, comps, selection and groups that are in use."""


def without_claims(resources: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Remove thumbnails, and resources about layers.

    Args:
        resources: Photoshop's image resources, starting with ``8BIM``.

    Returns:
        The resources that stay, byte for byte, and what was removed, in plain words.
    """
    kept: list[bytes] = []
    dropped: dict[str, None] = {}
    at, used = 0, len(resources.rstrip(b"\0"))
    while at < used:
        entry = _entry(resources, at)
        if entry is None:
            dropped["Photoshop resources (damaged)"] = None
            break
        number, start, size, end = entry
        label = _STALE.get(number)
        if number == _IPTC and not _is_iptc(resources[start : start + size]):
            label = "IPTC (damaged)"
        if label:
            dropped[label] = None
        else:
            kept.append(resources[at:end])
        at = end
    return b"".join(kept), tuple(dropped)


def _entry(resources: bytes, at: int) -> tuple[int, int, int, int] | None:
    """Return a resource's number, where its data starts, their size, and where it ends."""
    if resources[at : at + 4] not in _SIGNATURES or at + 12 > len(resources):
        return None
    (number,) = struct.unpack_from(">H", resources, at + 4)
    name = 1 + resources[at + 6]
    start = at + 6 + name + name % 2 + 4
    if start > len(resources):
        return None
    (size,) = struct.unpack_from(">I", resources, start - 4)
    if start + size > len(resources):
        return None
    return number, start, size, start + size + size % 2


def _is_iptc(data: bytes) -> bool:
    """Return whether data are IPTC data sets, one after the other."""
    at, used = 0, len(data.rstrip(b"\0"))
    while at < used:
        if data[at] != 0x1C or at + 5 > len(data):
            return False
        (size,) = struct.unpack_from(">H", data, at + 3)
        head = 5
        if size & 0x8000:  # the size's own length follows
            head += size & 0x7FFF
            size = int.from_bytes(data[at + 5 : at + head], "big")
        at += head + size
        if at > len(data):
            return False
    return True


def find(resources: bytes, numbers: Collection[int]) -> dict[int, bytes]:
    """Return the data of some resources, each by its number; the first where there are several.

    Args:
        resources: Photoshop's image resources, starting with ``8BIM``.
        numbers: of the resources.
    """
    found: dict[int, bytes] = {}
    for number, start, size, _, _ in _entries(resources):
        if number in numbers:
            found.setdefault(number, resources[start : start + size])
    return found


def without(resources: bytes, numbers: Collection[int]) -> bytes:
    """Return resources without some, byte for byte; see `find`."""
    return b"".join(
        resources[first:end]
        for number, _, _, first, end in _entries(resources)
        if number not in numbers
    )


def _entries(resources: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield each resource's number, start and size of its data, and where it starts and ends."""
    at = 0
    while at < len(resources):
        entry = _entry(resources, at)
        if entry is None:
            return
        number, start, size, end = entry
        yield number, start, size, at, end
        at = end
