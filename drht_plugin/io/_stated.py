"""What a file states of its values, for front ends whose pixels another library has read."""

import struct
from dataclasses import dataclass
from pathlib import Path

from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._formats import HEADER_BYTES, sniff
from drht_plugin.io.metadata import heif, ifd, png
from drht_plugin.io.metadata.types import Metadata

_PHOTOMETRIC, _SAMPLES, _PLANES, _FORMAT = 262, 277, 284, 339
_WHITE_IS_ZERO, _SEPARATE, _FLOAT = 0, 2, 3


@dataclass(frozen=True)
class FileStatement:
    """What a file states of its values.

    Attributes:
        metadata: colours that are stated otherwise than by a profile.
        misread: what libvips takes for something else, in words; None where it reads it right.
    """

    metadata: Metadata
    misread: str | None = None


def statement_of(path: Path) -> FileStatement:
    """Read what a PNG, AVIF, HEIC or TIFF file states of its values; nothing for other files.

    Args:
        path: of the file.
    """
    try:
        with FileBytes(path) as buffer:
            found = sniff(buffer[:HEADER_BYTES])
            if found == "png":
                return FileStatement(png.parse(buffer)[0])
            if found in ("avif", "heic"):
                stated = heif.read_properties(buffer)
                misread = "premultiplied alpha in AVIF and HEIC" if stated.premultiplied else None
                return FileStatement(Metadata(cicp=stated.cicp), misread)
            if found == "tiff":
                return FileStatement(Metadata(), _misread_in_tiff(ifd.parse(buffer).main))
    except (CodecError, UnsupportedError, OSError, ValueError, IndexError, struct.error):
        pass  # the library that reads the pixels says what is wrong
    return FileStatement(Metadata())


def _misread_in_tiff(fields: ifd.Fields) -> str | None:
    def number(tag: int, default: int) -> int:
        values = fields[tag].integers() if tag in fields else ()
        return values[0] if values else default

    if number(_FORMAT, 1) == _FLOAT and number(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        return "floats whose 0 is white in TIFF"
    if number(_PLANES, 1) == _SEPARATE and number(_SAMPLES, 1) == 2:
        return "gray and alpha in planes of their own in TIFF"
    return None
