"""EXIF orientations: how a stored picture is turned to be seen upright. Geometry only; numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.errors import InputError

Pixels = npt.NDArray[Any]

_TRANSPOSED_FROM = 5
_ROWS_REVERSED = (3, 4, 7, 8)
_COLUMNS_REVERSED = (2, 3, 6, 7)
_BACK = {6: 8, 8: 6}


def require_orientation(orientation: Any, *, wrap: bool = False) -> int:
    """The orientation as an int.

    Args:
        orientation: as in EXIF, 1 to 8; 1 is upright.
        wrap: whether the stored columns are to be periodic, which they are not upright from 5 on.

    Raises:
        InputError: no such orientation, or one that does not go with `wrap`.
    """
    whole = isinstance(orientation, (int, np.integer)) and not isinstance(orientation, bool)
    if not whole or not 1 <= orientation <= 8:
        raise InputError(f"orientation is {orientation!r}; expected a whole number from 1 to 8")
    if wrap and transposes(orientation):
        raise InputError(
            f"orientation is {orientation} and wrap is set; expected 1 to 4 for a panorama, whose "
            "left and right edges are the picture's sides when it is upright"
        )
    return int(orientation)


def transposes(orientation: int) -> bool:
    """Whether stored rows are columns of the upright picture."""
    return orientation >= _TRANSPOSED_FROM


def reverses_rows(orientation: int) -> bool:
    """Whether the upright picture's rows go the other way (after transposition)."""
    return orientation in _ROWS_REVERSED


def reverses_columns(orientation: int) -> bool:
    """Whether the upright picture's columns go the other way (after transposition)."""
    return orientation in _COLUMNS_REVERSED


def to_upright(pixels: Pixels, orientation: int) -> Pixels:
    """A view of stored pixels H×W×C as they are seen upright."""
    if transposes(orientation):
        pixels = pixels.swapaxes(0, 1)
    if reverses_rows(orientation):
        pixels = pixels[::-1]
    if reverses_columns(orientation):
        pixels = pixels[:, ::-1]
    return pixels


def to_stored(pixels: Pixels, orientation: int) -> Pixels:
    """A view of upright pixels as they are stored: undoes `to_upright`."""
    return to_upright(pixels, _BACK.get(orientation, orientation))


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Height and width of a stored picture when it is upright."""
    return (width, height) if transposes(orientation) else (height, width)


def upright_corner(
    corner: tuple[int, int], size: tuple[int, int], whole: tuple[int, int], orientation: int
) -> tuple[int, int]:
    """Top and left, in the upright picture, of a window of the stored one.

    corner: top and left of the window. size, whole: height and width of the window and the
    picture, all as stored.
    """
    if transposes(orientation):
        corner, size, whole = corner[::-1], size[::-1], whole[::-1]
    top, left = corner
    if reverses_rows(orientation):
        top = whole[0] - top - size[0]
    if reverses_columns(orientation):
        left = whole[1] - left - size[1]
    return top, left
