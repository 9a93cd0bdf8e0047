"""A picture: its pixels, what lies beside them, and the modules that code them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drht_plugin.io._formats import Format, Transfer
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader, Shape, Writer
from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.types import Carrier


@dataclass(frozen=True)
class Picture:
    """One picture file's pixels, and all that must survive beside them.

    Attributes:
        pixels: H×W×C, C-contiguous; uint8, uint16, float16 or float32; 1 channel is gray, 2 gray
            and alpha, 3 RGB, 4 RGB and alpha. Alpha is straight. As coded in the file: not turned
            by the orientation tag, not converted by the profile.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones (OpenEXR,
            Radiance HDR, PFM).
        carrier: What `write_picture` needs to give back metadata and manner of storing.
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
        """Of the pixels."""
        return self.pixels.dtype


class Described(Protocol):
    """What a target needs to know of the picture that it is made from."""

    @property
    def shape(self) -> Shape:
        """H×W×C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        ...

    @property
    def transfer(self) -> Transfer:
        """How they are encoded."""
        ...

    @property
    def carrier(self) -> Carrier:
        """What lies beside them."""
        ...


class Backend(Protocol):
    """A module that reads and writes some of the formats."""

    def reader(self, path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]: ...

    def writer(
        self,
        path: Path,
        name: str,
        shape: Shape,
        dtype: np.dtype[Any],
        carrier: Carrier,
        quality: int | None,
    ) -> Writer: ...

    def write(
        self, path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None
    ) -> None: ...


def backend_of(row: Format) -> Backend:
    """Return the module that reads and writes a format, loaded when first needed."""
    if row.backend == "vips":
        from drht_plugin.io import _vips

        return _vips
    from drht_plugin.io import _oiio

    return _oiio


def called(path: Path) -> str:
    """Return the name that messages give a file."""
    return path.name or str(path)
