"""Smaller copies of a TIFF file's picture: pyramids, as further pages or as sub-directories."""

from pathlib import Path
from typing import Any

import numpy as np

from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader

Options = dict[str, int]

_ALIKE = 0.02
"""By how much the factors of width and height of a copy may differ, being rounded up or down."""


def level(path: Path, most: int) -> Options | None:
    """Return libvips' options for the smallest copy at most `most` times smaller each way.

    None where the file has none.
    """
    fitting = [(factor, options) for factor, options in _copies(path) if factor <= most]
    return max(fitting, key=lambda copy: copy[0])[1] if fitting else None


def holds_copies_only(path: Path) -> bool:
    """Say whether all further pages of a file are smaller copies of its first."""
    import pyvips

    pages = pyvips.Image.tiffload(str(path)).get_n_pages()
    return sum("page" in options for _, options in _copies(path)) == pages - 1


def _copies(path: Path) -> list[tuple[float, Options]]:
    """By how much each copy is smaller, more than 1, and libvips' options for it."""
    import pyvips

    found: list[tuple[float, Options]] = []
    try:
        picture = pyvips.Image.tiffload(str(path))
        further: list[Options] = [{"page": n} for n in range(1, picture.get_n_pages())]
        if picture.get_typeof("n-subifds"):
            further += [{"subifd": n} for n in range(picture.get("n-subifds"))]
        for options in further:
            copy = pyvips.Image.tiffload(str(path), **options)
            down, across = picture.height / copy.height, picture.width / copy.width
            alike = abs(down / across - 1) < _ALIKE and _kind(copy) == _kind(picture)
            if alike and min(down, across) > 1:
                found.append((min(down, across), options))
    except pyvips.Error:
        return []
    return found


def _kind(image: Any) -> tuple[int, str, str]:
    return image.bands, str(image.format), str(image.interpretation)


class Pyramid:
    """A TIFF file's reader, and its smaller copies where it has any."""

    def __init__(self, source: Reader, path: Path) -> None:
        self._source, self._path = source, path
        self.shape, self.dtype = source.shape, source.dtype

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        return self._source.read(top, bottom, step)

    def reduced(self, most: int) -> Reader | None:
        """Return a reader of a smaller copy, see `Shrinkable`; of 8 and 16 bits."""
        from drht_plugin.io._vips import VipsReader

        options = level(self._path, most) if self.dtype in (np.uint8, np.uint16) else None
        return VipsReader(self._path, "tiff", options) if options else None

    def close(self) -> None:
        """Let the file go."""
        self._source.close()
