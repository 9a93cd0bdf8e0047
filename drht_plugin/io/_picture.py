"""A picture and its metadata, and the interface of the modules that read and write them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError
from drht_plugin.io._formats import Format, Transfer, format_of_suffix, writable_suffixes
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader, Shape, Writer
from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.types import Carrier


@dataclass(frozen=True)
class Picture:
    """Pixels and metadata of one picture file.

    Attributes:
        pixels: H×W×C, C-contiguous; uint8, uint16, float16 or float32; gray, gray + alpha, RGB or
            RGB + alpha (C = 1…4). Alpha is straight (not premultiplied). Values are as stored in
            the file: not turned by the orientation tag, not converted by the profile.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones (OpenEXR,
            Radiance HDR, PFM).
        carrier: metadata and coding, which `write_picture` carries over to the new file. Its
            `headroom` is the largest light that camera raw held, relative to where the first
            channel clips. The pixels hold all of it: they are sRGB codes of light that is rolled
            off, see `bridge.roll_off`.
    """

    pixels: NDArray[Any]
    transfer: Transfer
    carrier: Carrier

    @property
    def shape(self) -> Shape:
        """H×W×C."""
        height, width, channels = self.pixels.shape
        return height, width, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type."""
        return self.pixels.dtype

    def rows(self, top: int, bottom: int) -> Pixels:
        """Return rows ``top:bottom``, R×W×C."""
        return self.pixels[top:bottom]


class PictureLike(Protocol):
    """Properties of a source picture that a new file takes over."""

    @property
    def shape(self) -> Shape:
        """H×W×C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Pixel type."""
        ...

    @property
    def transfer(self) -> Transfer:
        """Encoding of the values, "srgb" or "linear"."""
        ...

    @property
    def carrier(self) -> Carrier:
        """Metadata and coding."""
        ...


@runtime_checkable
class Sampled(Protocol):
    """Source whose rows can be read."""

    @property
    def shape(self) -> Shape:
        """H×W×C."""
        ...

    def rows(self, top: int, bottom: int) -> Pixels:
        """Return rows ``top:bottom``, R×W×C."""
        ...


class ReadingBackend(Protocol):
    """Module that reads some of the formats."""

    def reader(self, path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
        """Open a file.

        Args:
            path: of the file.
            name: key of its format, according to its content.
            buffer: the file's bytes.

        Returns:
            A reader of its rows, and its metadata and coding.
        """
        ...


class Backend(ReadingBackend, Protocol):
    """Module that reads and writes some of the formats."""

    def writer(
        self,
        path: Path,
        name: str,
        shape: Shape,
        dtype: np.dtype[Any],
        carrier: Carrier,
        quality: int | None,
    ) -> Writer:
        """Start a file that is written by rows.

        Args:
            path: of the new file.
            name: key of its format.
            shape: H×W×C.
            dtype: of the rows.
            carrier: metadata and coding of the source.
            quality: 1 to 100, for lossy formats; None for the default.
        """
        ...

    def write(
        self, path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None
    ) -> None:
        """Write a file of a format that is encoded as a whole.

        Args:
            path: of the new file.
            name: key of its format.
            pixels: H×W×C.
            carrier: metadata and coding of the source.
            quality: 1 to 100, for lossy formats; None for the default.
        """
        ...


def reader_of(row: Format) -> ReadingBackend:
    """Import and return the module that reads a format."""
    if row.backend == "libheif":
        from drht_plugin.io import _libheif

        return _libheif
    if row.backend == "raw":
        from drht_plugin.io import _raw

        return _raw
    return backend_of(row)


def backend_of(row: Format) -> Backend:
    """Import and return the module that reads and writes a format."""
    if row.backend == "vips":
        from drht_plugin.io import _vips

        return _vips
    from drht_plugin.io import _oiio

    return _oiio


def name_of(path: Path) -> str:
    """Return the name of a file for messages."""
    return path.name or str(path)


def written_format(path: Path) -> Format:
    """Return the format that a new file's suffix names.

    Raises:
        InputError: there is none, or it is only read.
    """
    row = format_of_suffix(path.suffix)
    if row is None or path.suffix.lower() not in writable_suffixes():
        known = ", ".join(sorted(writable_suffixes()))
        raise InputError(
            f"{name_of(path)}: suffix '{path.suffix}' is not written; these are: {known}"
        )
    return row
