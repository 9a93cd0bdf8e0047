"""Smaller copies of a TIFF file's picture: pyramids, as further pages or as sub-directories."""

from pathlib import Path

from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader
from drht_plugin.libvips.smaller import level


class Pyramid:
    """A TIFF file's reader, and its smaller copies where it has any."""

    def __init__(self, source: Reader, path: Path) -> None:
        self._source, self._path = source, path
        self.shape, self.dtype = source.shape, source.dtype

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        return self._source.read(top, bottom, step)

    def reduced(self, most: int) -> Reader | None:
        """Return a reader of a smaller copy, see `Shrinkable`."""
        from drht_plugin.io._vips import VipsReader

        options = level(self._path, most)
        return VipsReader(self._path, "tiff", options) if options else None

    def close(self) -> None:
        """Let the file go."""
        self._source.close()
