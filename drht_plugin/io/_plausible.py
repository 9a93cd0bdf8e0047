"""Refuse files that declare more pixels than their bytes can hold.

Libraries take memory for what a header says. These checks come before that.
"""

import math

from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._rows import Shape

_SLACK = 1 << 12
"""Bytes of pixels that the smallest file may hold whatever it declares."""

_PNG_RATIO = 1032
_BLOCK = 8
_DEFLATE, _FAX = (8, 32946), (3, 4)
_WIDEST_TILE = 1 << 24
"""Samples that a tile may have in a picture of any size."""
_TIFF_RATIOS = {1: 1, 5: 2731, 32773: 64, 7: 512} | dict.fromkeys(_DEFLATE, 1032)
"""Bytes of pixels that a byte may unpack to, by TIFF compression.

Deflate: 258 bytes take two bits. LZW: strings of up to 4096 bytes take 12 bits. PackBits: 128 bytes
take two. JPEG: a block of 64 takes a bit. Fax codes and unknown ones have no such limit.
"""


def require_bytes(shape: Shape, itemsize: int, file_bytes: int, ratio: float) -> None:
    """Refuse a picture, or a block of one, that a file is too small to hold.

    Args:
        shape: H×W×C that the file declares.
        itemsize: bytes of a sample.
        file_bytes: size of the file, or of the part that holds the block.
        ratio: bytes of pixels that a byte of the file may hold.

    Raises:
        CodecError: the file is too small.
    """
    if math.prod(shape) * itemsize > ratio * file_bytes + _SLACK:
        height, width, _ = shape
        raise CodecError(f"{file_bytes} bytes cannot hold the {height}×{width} pixels it declares")


def require_png_bytes(shape: Shape, itemsize: int, file_bytes: int) -> None:
    """Refuse a PNG file that is too small for its picture; see `require_bytes`."""
    # The smallest sample is a bit, which is read as a byte.
    require_bytes(shape, itemsize, file_bytes, 8 * _PNG_RATIO)


def require_jpeg_bytes(shape: Shape, file_bytes: int, *, arithmetic: bool) -> None:
    """Refuse a JPEG file that is too small for its picture; see `require_bytes`.

    Args:
        shape: H×W×C that the file declares.
        file_bytes: size of the file.
        arithmetic: whether it is coded arithmetically, where a block may take less than a bit.
    """
    height, width, _ = shape
    if not arithmetic:
        require_bytes((height, width, 1), 1, file_bytes, 8 * _BLOCK * _BLOCK)


def require_tiff_bytes(
    block: Shape, picture: Shape, bits: int, stored_bytes: int, compression: int
) -> None:
    """Refuse a TIFF file whose strips or tiles are larger than what it stores of them.

    Args:
        block: rows, columns and samples of a strip or tile.
        picture: H×W×C.
        bits: of a sample.
        stored_bytes: size of the largest block in the file.
        compression: TIFF's number of it.

    Raises:
        CodecError: the file is too small.
        UnsupportedError: a tile has far more pixels than the picture.
    """
    if math.prod(block) > max(_WIDEST_TILE, 4 * math.prod(picture)):
        raise UnsupportedError(
            f"has {picture[0]}×{picture[1]} pixels in tiles of {block[0]}×{block[1]}, far larger "
            "than the picture"
        )
    if compression in _FAX and block[0] > 8 * stored_bytes:  # a white row takes a bit
        raise CodecError(f"{stored_bytes} bytes cannot hold the {block[0]} rows of a block")
    ratio = _TIFF_RATIOS.get(compression, math.inf)
    # Samples of less than a byte are packed.
    require_bytes(block, 1, stored_bytes, ratio * 8 / bits)
