"""Which layouts of TIFF files are read, and which are written."""

from drht_plugin.io._errors import UnsupportedError

_WRITTEN = {1: "none", 5: "lzw", 8: "zip", 32946: "zip", 32773: "packbits"}
_READ = frozenset({*_WRITTEN, 2, 3, 4, 6, 7, 32766, 32771, 32809, 32909, 34676, 34677, 50001})
"""Compressions that the libtiff of OpenImageIO's wheels decodes."""
_NAMES = {
    9: "JBIG (T.85)",
    10: "JBIG (T.43)",
    32895: "IT8 CT with padding",
    32896: "IT8 linework",
    32897: "IT8 monochrome",
    32898: "IT8 binary linework",
    32908: "Pixar film",
    32947: "Kodak DCS",
    33003: "JPEG 2000 (Aperio)",
    33004: "JPEG 2000 (Aperio)",
    33005: "JPEG 2000 (Aperio)",
    34661: "JBIG",
    34712: "JPEG 2000",
    34713: "Nikon NEF",
    34715: "JBIG2",
    34887: "LERC",
    34892: "lossy JPEG (DNG)",
    34925: "LZMA",
    34926: "Zstandard",
    34927: "WebP (old number)",
    34933: "PNG",
    34934: "JPEG XR",
    50000: "Zstandard",
    50002: "JPEG XL",
    52546: "JPEG XL (DNG)",
}
_TILE_STEP = 16
_USUAL_SIDE = 1024
"""Tiles up to this are kept where they are larger than the picture (pixels)."""


def require_readable(compression: int) -> None:
    """Refuse a compression that is not read, by its name.

    Args:
        compression: value of the Compression field.

    Raises:
        UnsupportedError: it is not read.
    """
    if compression not in _READ:
        name = _NAMES.get(compression, f"number {compression}")
        raise UnsupportedError(f"is compressed by {name}, which is not read in TIFF")


def written_compression(compression: int) -> str:
    """Return OpenImageIO's name of a compression, or of the nearest that is written."""
    return _WRITTEN.get(compression, "zip")


def written_tile(tile: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Return the size of tile nearest to a file's that may be written: multiples of 16.

    Args:
        tile: width and height of the source's tiles.
        width: of the picture.
        height: of the picture.
    """
    across, down = (
        min(max(round(side / _TILE_STEP), 1) * _TILE_STEP, _largest_side(length))
        for side, length in zip(tile, (width, height), strict=True)
    )
    return across, down


def _largest_side(length: int) -> int:
    return max(-(-length // _TILE_STEP) * _TILE_STEP, _USUAL_SIDE)
