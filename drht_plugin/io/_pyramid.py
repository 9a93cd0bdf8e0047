"""Read the levels of pyramid TIFF files, stored as further pages or sub-directories."""

from pathlib import Path

from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader, tolerate
from drht_plugin.libvips.smaller_copies import pyramid_level


class Pyramid:
    """Reader of a TIFF file that also opens its pyramid levels; see `_rows.Shrinkable`."""

    def __init__(self, source: Reader, path: Path) -> None:
        self._source, self._path = source, path
        self.shape, self.dtype = source.shape, source.dtype

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        return self._source.read(top, bottom, step)

    def tolerate(self) -> bool:
        """Go on over damaged pixels; see `_rows.Tolerant`."""
        return tolerate(self._source)

    def reduced(self, max_factor: int) -> Reader | None:
        """Return a reader of a pyramid level; see `_rows.Shrinkable`."""
        from drht_plugin.io._vips import VipsReader

        options = pyramid_level(self._path, max_factor)
        return VipsReader(self._path, "tiff", options) if options else None

    def close(self) -> None:
        """Close the file."""
        self._source.close()
