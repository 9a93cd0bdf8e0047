"""Notice JPEG files that end well, but before all their scans have come; libjpeg says nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from drht_plugin.io.metadata.ifd import Buffer

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_SCAN, _END = 0xDA, 0xD9
_MARK = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # neither a coded 0xFF nor a restart
_BLOCK = 1 << 20
_COEFFICIENTS = 64
_MOST_SEGMENTS = 10_000


@dataclass
class _Scans:
    """What scans have brought: by component, the lowest bit of each coefficient, or None."""

    progressive: bool
    bits: dict[int, list[int | None]] = field(default_factory=dict)

    def take(self, header: bytes) -> None:
        """Take a scan's header: its components, band of coefficients, and lowest bit."""
        count = header[0] if header else 0
        if len(header) < 4 + 2 * count:
            return
        first, last, shifts = header[1 + 2 * count : 4 + 2 * count]
        if not self.progressive:
            first, last, shifts = 0, _COEFFICIENTS - 1, 0
        for index in range(count):
            known = self.bits.get(header[1 + 2 * index], [])
            for coefficient in range(first, min(last + 1, len(known))):
                known[coefficient] = shifts & 15

    @property
    def complete(self) -> bool:
        """Whether each coefficient has come to its lowest bit."""
        return all(bit == 0 for known in self.bits.values() for bit in known)


def misses_scans(buffer: Buffer) -> bool:
    """Return whether a JPEG file ends before all its scans have come.

    Only files of several scans are read beyond the first scan's header.

    Args:
        buffer: the file's bytes.
    """
    scans: _Scans | None = None
    for marker, data in _segments(buffer):
        if marker in _FRAMES and len(data) >= 6:
            scans = _Scans(marker in _PROGRESSIVE)
            for number in data[6 : 6 + 3 * data[5] : 3]:
                scans.bits[number] = [None] * _COEFFICIENTS
        elif marker == _SCAN and scans:
            scans.take(data)
            if scans.complete:
                return False
    return scans is not None and not scans.complete


def _segments(buffer: Buffer) -> Iterator[tuple[int, bytes]]:
    """Yield marker and payload of all segments, up to the file's first end of image."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        at = _next_mark(buffer, at)
        head = buffer[at : at + 4]
        if len(head) < 4 or head[1] == _END:
            return
        size = int.from_bytes(head[2:], "big")
        yield head[1], bytes(buffer[at + 4 : at + 2 + size])
        at += 2 + max(size, 2)


def _next_mark(buffer: Buffer, at: int) -> int:
    while len(block := buffer[at : at + _BLOCK]) > 1:
        found = _MARK.search(block)
        if found:
            return at + found.start()
        at += len(block) - 1
    return len(buffer)
