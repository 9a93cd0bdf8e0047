"""Read and write the headers of Radiance HDR files, of which OpenImageIO knows a part.

A header is lines of text, an empty line, and the resolution string, such as ``-Y 20 +X 30``.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Chromaticities, Metadata, orientation
from drht_plugin.orientation import transposes

_MAX_BYTES = 1 << 16
_CHUNK = 1 << 20
_MAGIC = b"#?RADIANCE"
_FORMAT, _EXPOSURE, _COLOUR, _PRIMARIES = b"FORMAT", b"EXPOSURE", b"COLORCORR", b"PRIMARIES"
_ASPECT, _XYZ = b"PIXASPECT", b"32-bit_rle_xyze"
_RESOLUTION = re.compile(rb"([-+][XY])[ \t]+(\d+)[ \t]+([-+][XY])[ \t]+(\d+)[ \t]*\r?\n")
# The first axis goes from scanline to scanline, the second along each; Y points up.
_ORIENTATIONS = {
    b"-Y+X": 1,
    b"-Y-X": 2,
    b"+Y-X": 3,
    b"+Y+X": 4,
    b"+X-Y": 5,
    b"-X-Y": 6,
    b"-X+Y": 7,
    b"+X+Y": 8,
}
_AXES = {orientation: (axes[:2], axes[2:]) for axes, orientation in _ORIENTATIONS.items()}


@dataclass(frozen=True)
class RadianceHeader:
    """Header of a Radiance file.

    Attributes:
        lines: of text, without line ends, the magic number, and the line of the format.
        height: scanlines.
        width: pixels of a scanline.
        orientation: as in EXIF, 1 to 8.
        size: bytes of the header, up to the first pixel.
    """

    lines: tuple[bytes, ...]
    height: int
    width: int
    orientation: int = 1
    size: int = 0

    def values(self, name: bytes) -> Iterator[tuple[float, ...]]:
        """Yield the numbers of each line ``NAME=…``; a line without numbers is passed over."""
        for line in self.lines:
            key, found, rest = line.partition(b"=")
            if found and key.strip() == name:
                try:
                    numbers = tuple(float(word) for word in rest.split())
                except ValueError:
                    continue
                if numbers and all(map(math.isfinite, numbers)):
                    yield numbers

    def encode(self) -> bytes:
        """Return the header's bytes."""
        first, second = _AXES[self.orientation]
        lines = [_MAGIC, *self.lines, _FORMAT + b"=32-bit_rle_rgbe", b""]
        size = b"%s %d %s %d" % (first, self.height, second, self.width)
        return b"\n".join([*lines, size]) + b"\n"


def parse(buffer: Buffer) -> RadianceHeader:
    """Read the header of a Radiance file.

    Args:
        buffer: the file's bytes.

    Raises:
        CodecError: the header is damaged.
        UnsupportedError: the picture is in XYZ.
    """
    head = bytes(buffer[:_MAX_BYTES])
    text, found, rest = head.replace(b"\r\n", b"\n").partition(b"\n\n")
    size = _RESOLUTION.match(rest)
    if not found or not size:
        raise CodecError("its header has no end, or no resolution")
    first, height, second, width = size.groups()
    turn = _ORIENTATIONS.get(first + second)
    if turn is None:
        raise CodecError(f"its resolution is {size.group().decode().strip()}")
    lines = text.split(b"\n")[1:]
    kinds = [line for line in lines if line.partition(b"=")[0].strip() == _FORMAT]
    if any(_XYZ in line for line in kinds):
        raise UnsupportedError("is an XYZ picture; only RGB is read")
    kept = tuple(line for line in lines if line not in kinds)
    end = head.index(size.group()) + len(size.group())
    return RadianceHeader(kept, int(height), int(width), turn, end)


def metadata(header: RadianceHeader) -> Metadata:
    """Return what a header says that other formats can hold or have to know."""
    factors = [1.0, 1.0, 1.0]
    for name in (_EXPOSURE, _COLOUR):
        for numbers in header.values(name):
            if len(numbers) in (1, 3) and min(numbers) > 0:
                factors = [
                    a * b for a, b in zip(factors, numbers * (3 // len(numbers)), strict=True)
                ]
    tall = 1.0  # height by width of a pixel of the upright picture
    for numbers in header.values(_ASPECT):
        tall *= numbers[0] if numbers[0] > 0 else 1.0
    aspect = (1.0, tall) if transposes(header.orientation) else (tall, 1.0)
    return Metadata(
        turned=header.orientation,
        aspect=None if tall == 1 else aspect,
        chromaticities=_primaries(header),
        factors=None if factors == [1.0] * 3 else (factors[0], factors[1], factors[2]),
    )


def _primaries(header: RadianceHeader) -> Chromaticities | None:
    for numbers in header.values(_PRIMARIES):
        if len(numbers) == 8 and min(numbers[1::2]) > 0:
            return tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return None


def header_for(described: Metadata, source: RadianceHeader | None) -> RadianceHeader | None:
    """Return the header of a new file, without its size; None where a plain one will do.

    Args:
        described: metadata of the source.
        source: its header, if it is a Radiance file too; its lines are kept.
    """
    turn = orientation(described)
    if source:
        return RadianceHeader(source.lines, 0, 0, turn) if source.lines or turn != 1 else None
    made = []
    if described.chromaticities:
        places = " ".join(f"{v:.4f}" for place in described.chromaticities for v in place)
        made.append(_PRIMARIES + b"= " + places.encode())
    if described.aspect:
        made.append(b"%s= %g" % (_ASPECT, described.aspect[0] / described.aspect[1]))
    return RadianceHeader(tuple(made), 0, 0, turn) if made or turn != 1 else None


def replace_header(path: str | os.PathLike[str], header: RadianceHeader) -> None:
    """Replace the header of a complete Radiance file, and move its pixels accordingly.

    Args:
        path: of the file, which is changed in place.
        header: the new one; its size is taken from the file.

    Raises:
        OSError: the file cannot be written.
        CodecError: the file's header is damaged.
    """
    with open(path, "r+b") as file:
        old = parse(file.read(_MAX_BYTES))
        head = replace(header, height=old.height, width=old.width).encode()
        end = os.fstat(file.fileno()).st_size
        move = len(head) - old.size
        starts = range(old.size, end, _CHUNK)
        for start in reversed(starts) if move > 0 else starts:
            file.seek(start)
            data = file.read(_CHUNK)
            file.seek(start + move)
            file.write(data)
        if move < 0:
            file.truncate(end + move)
        file.seek(0)
        file.write(head)
