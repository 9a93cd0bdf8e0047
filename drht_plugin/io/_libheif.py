"""Read HEIC files with pillow-heif, whose libheif can decode HEVC."""

from pathlib import Path
from typing import IO, Any

import numpy as np

from drht_plugin.errors import DependencyError, first_line
from drht_plugin.extras import import_extra
from drht_plugin.io._decoders import require_room
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._meaning import Meaning, with_meaning
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader
from drht_plugin.io.metadata import heif, ifd
from drht_plugin.io.metadata.types import Carrier

_CHANNELS = {"L": 1, "LA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}
_FAILURES = (ValueError, RuntimeError, SyntaxError, EOFError, OSError)


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
        DependencyError: no decoder is installed.
    """
    if heif.is_animation(buffer):
        raise UnsupportedError("is an animation; only single pictures are read")
    try:
        package = import_extra("pillow_heif", "heic", "HEIC files")
    except DependencyError:
        opened = _by_libvips(path, name, buffer)
        if opened is None:
            raise
        return opened
    source = HeicReader(str(path), package)
    stated = heif.read_properties(buffer)
    info = source.info
    metadata = heif.metadata(stated, info.get("icc_profile"), info.get("exif"), info.get("xmp"))
    bits = source.bits if source.dtype == np.uint16 else 8
    meaning = Meaning(premultiplied=source.premultiplied, bits=bits if bits > 8 else 0)
    return with_meaning(source, meaning), Carrier(
        name, metadata, stated.coding, lossless=False, bits=bits
    )


def _by_libvips(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier] | None:
    """Open a file with libvips, if that was built with a decoder; see `reader`."""
    from drht_plugin.io import _vips

    opened, carrier = _vips.reader(path, name, buffer)
    try:
        opened.read(0, 1, 1)
    except (CodecError, UnsupportedError):
        opened.close()
        return None
    return opened, carrier


class HeicReader:
    """Reader of rows by pillow-heif, which decodes all of them at once; see `_rows.Reader`.

    Args:
        file: its path, or the file itself.
        package: the module `pillow_heif`.

    Attributes:
        info: what pillow-heif tells of the picture.
        bits: of a sample.
        premultiplied: whether colours are multiplied by alpha.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the pixels are of an unsupported kind.
    """

    def __init__(self, file: str | IO[bytes], package: Any) -> None:
        try:
            self._picture = picture = package.open_heif(file, convert_hdr_to_8bit=False)
            mode, (width, height) = str(picture.mode), picture.size
        except _FAILURES as error:
            raise CodecError(first_line(str(error))) from error
        kind, _, deep = mode.partition(";")
        if kind not in _CHANNELS:
            raise UnsupportedError(f"has pixels of the kind {mode}, which are not read")
        self.info: dict[str, Any] = picture.info
        self.bits = int(self.info.get("bit_depth", 8))
        self.premultiplied = kind.endswith("a")
        self.shape = (height, width, _CHANNELS[kind])
        self.dtype = np.dtype(np.uint16 if deep else np.uint8)
        require_room("heic by Pillow", self.shape, self.dtype.itemsize)
        self._pixels: Pixels | None = None

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        if self._pixels is None:
            try:
                self._pixels = np.asarray(self._picture).reshape(self.shape)
            except _FAILURES as error:
                raise CodecError(first_line(str(error))) from error
        return self._pixels[top:bottom:step].copy()

    def close(self) -> None:
        """Close the file."""
        self._picture = self._pixels = None
