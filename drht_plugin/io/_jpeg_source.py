"""Hide from libjpeg what it would warn of in a JPEG's header, though no pixel depends on it.

A warning of libjpeg stops the reading, as most are about damage of pixels.
"""

import os
from pathlib import Path

import pyvips

from drht_plugin.io.metadata import jpeg
from drht_plugin.io.metadata.ifd import Buffer

_JFIF_MAJOR, _ADOBE_TRANSFORM = 5, 11
_USUAL_TRANSFORMS = (0, 1)  # RGB; YCbCr, which libjpeg takes for all others


def clean_header(buffer: Buffer) -> tuple[bytes, int] | None:
    """Return a JPEG's header without what libjpeg warns of.

    Args:
        buffer: the file's bytes.

    Returns:
        The bytes up to the first scan, and the offset of that; None where there is no need.
    """
    parts, changed, end = [b"\xff\xd8"], False, 2
    for start, marker, stop, data in jpeg.segments(buffer):
        changed = changed or (start != end and b"\xff" * (start - end) != buffer[end:start])
        end = stop
        if marker == jpeg.APP0 and data[:5] == b"JFIF\0" and len(data) > _JFIF_MAJOR:
            changed = changed or data[_JFIF_MAJOR] != 1
            data = data[:_JFIF_MAJOR] + b"\1" + data[_JFIF_MAJOR + 1 :]
        elif marker == jpeg.ADOBE and data[:5] == b"Adobe" and len(data) > _ADOBE_TRANSFORM:
            if data[_ADOBE_TRANSFORM] not in _USUAL_TRANSFORMS:
                changed = True
                data = data[:_ADOBE_TRANSFORM] + b"\1" + data[_ADOBE_TRANSFORM + 1 :]
        elif jpeg.APP0 <= marker <= jpeg.APP15 or marker == jpeg.COMMENT:
            continue
        parts.append(jpeg.segment(marker, data))
    return (b"".join(parts), end) if changed else None


class SplicedFile:
    """File whose first bytes are replaced by others, as a source for libvips.

    Args:
        path: of the file.
        head: the new first bytes.
        rest: offset in the file of what follows them.

    Attributes:
        source: libvips' view of it, for which this object must be kept.
    """

    def __init__(self, path: Path, head: bytes, rest: int) -> None:
        self._head, self._shift, self._at = head, rest - len(head), 0
        self._file = open(path, "rb")  # noqa: SIM115 (closed with the source)
        self._size = os.fstat(self._file.fileno()).st_size - self._shift
        self.source = pyvips.SourceCustom()
        self.source.on_read(self._read)
        self.source.on_seek(self._seek)

    def close(self) -> None:
        """Close the file, once libvips does not read it any more."""
        self._file.close()

    def __del__(self) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        if self._at < len(self._head):
            data = self._head[self._at : self._at + size]
        else:
            self._file.seek(self._at + self._shift)
            data = self._file.read(size)
        self._at += len(data)
        return data

    def _seek(self, offset: int, whence: int) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at
