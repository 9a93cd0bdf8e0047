"""What a giant picture is read from: opened in each process, and read by regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.geometry import Region

Image = npt.NDArray[Any]


@dataclass(frozen=True)
class Stated:
    """What is stored beside a picture's pixels.

    Attributes:
        icc: ICC profile; None for none.
        cicp: code points of the colour space; None for none.
        exif: EXIF block.
        xmp: XMP packet.
        orientation: how the picture is stored, 1 to 8 as in EXIF.
    """

    icc: bytes | None = None
    cicp: tuple[int, int] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    orientation: int = 1


class GiantSource(Protocol):
    """A stored picture; small enough to be sent to workers, which open it themselves.

    It is a source of `engine.source` too, whose rows are sliced.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """H×W×C, or H×W of a gray picture without a channel axis."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels that are read."""
        ...

    @property
    def name(self) -> str:
        """Its address, for messages."""
        ...

    @property
    def chunks(self) -> tuple[int, int]:
        """Rows and columns of what is decoded at once."""
        ...

    @property
    def stated(self) -> Stated:
        """What is stored beside the pixels."""
        ...

    @property
    def transfer(self) -> str:
        """What values mean unless the caller says so: "srgb" or "linear"."""
        ...

    def __getitem__(self, rows: slice) -> Image:
        """Return rows `top:bottom:step`; raises ReadError."""
        ...

    def read(self, region: Region) -> Image:
        """Return the pixels of a region of the picture; raises ReadError."""
        ...

    def identity(self) -> Mapping[str, Any]:
        """Return what identifies the picture's state, as JSON can hold it; raises ReadError."""
        ...


def read_around(source: GiantSource, region: Region) -> Image:
    """Read a region whose columns may lie outside a panorama, where they wrap around.

    Args:
        source: the picture.
        region: rows of the picture, and columns up to one turn further.

    Returns:
        R×C×K, or R×C.
    """
    width = source.shape[1]
    parts, left = [], region.left
    while left < region.right:
        inside = left % width
        count = min(region.right - left, width - inside)
        parts.append(source.read(Region(region.top, inside, region.height, count)))
        left += count
    return parts[0] if len(parts) == 1 else np.concatenate(parts, 1)


@dataclass
class ReadOnce:
    """Rows of a source that are read once and then sliced, as `engine.survey` does.

    Attributes:
        source: the picture.
        rows: what is read: evenly spaced rows.
        pixels: of these rows.
    """

    source: GiantSource
    rows: range
    pixels: Image = field(init=False)

    def __post_init__(self) -> None:
        self.pixels = self.source[self.rows.start : self.rows.stop : self.rows.step]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole picture."""
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.source.dtype

    def __getitem__(self, rows: slice) -> Image:
        wanted = range(*rows.indices(self.shape[0]))
        first = (wanted.start - self.rows.start) // self.rows.step
        return self.pixels[first : first + len(wanted)]
