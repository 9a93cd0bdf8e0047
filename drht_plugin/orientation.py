"""EXIF orientations: turn a stored picture upright and back. Geometry only."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from drht_plugin.arguments import require_flag, whole_number
from drht_plugin.errors import InputError

Pixels = npt.NDArray[Any]

_TRANSPOSED_FROM = 5
_ROWS_REVERSED = (3, 4, 7, 8)
_COLUMNS_REVERSED = (2, 3, 6, 7)
_INVERSE = {6: 8, 8: 6}


def require_orientation(orientation: Any, *, wrap: bool = False) -> int:
    """Check an orientation and return it as an int.

    Args:
        orientation: as in EXIF, 1 to 8; 1 is upright.
        wrap: whether the picture is a panorama. From 5 on, its stored columns are the upright
            picture's rows, which do not wrap.

    Raises:
        InputError: no such orientation, or one above 4 together with `wrap`; a `wrap` that is
            neither True nor False.
    """
    whole = whole_number(orientation)
    if whole is None or not 1 <= whole <= 8:
        raise InputError(f"orientation is {orientation!r}; expected a whole number from 1 to 8")
    if require_flag("wrap", wrap) and transposes(whole):
        raise InputError(
            f"orientation is {whole} and wrap is set; expected 1 to 4 for a panorama: "
            "its rows must be stored as rows"
        )
    return whole


def transposes(orientation: int) -> bool:
    """Return whether stored rows are columns of the upright picture."""
    return orientation >= _TRANSPOSED_FROM


def reverses_rows(orientation: int) -> bool:
    """Return whether turning upright reverses the rows, after any transposition."""
    return orientation in _ROWS_REVERSED


def reverses_columns(orientation: int) -> bool:
    """Return whether turning upright reverses the columns, after any transposition."""
    return orientation in _COLUMNS_REVERSED


def to_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels upright.

    Args:
        pixels: H×W×C, as stored.
        orientation: as in EXIF, 1 to 8.

    Returns:
        A view of `pixels`, W×H×C for orientations from 5 on.
    """
    if transposes(orientation):
        pixels = pixels.swapaxes(0, 1)
    if reverses_rows(orientation):
        pixels = pixels[::-1]
    if reverses_columns(orientation):
        pixels = pixels[:, ::-1]
    return pixels


def to_stored(pixels: Pixels, orientation: int) -> Pixels:
    """Turn upright pixels back as they are stored: the inverse of `to_upright`.

    Args:
        pixels: H×W×C, upright.
        orientation: of the stored picture, as in EXIF, 1 to 8.

    Returns:
        A view of `pixels`.
    """
    return to_upright(pixels, _INVERSE.get(orientation, orientation))


def upright_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Return the upright height and width of a picture stored as height×width."""
    return (width, height) if transposes(orientation) else (height, width)


def upright_corner(
    corner: tuple[int, int], size: tuple[int, int], whole: tuple[int, int], orientation: int
) -> tuple[int, int]:
    """Return where a window of the stored picture lies in the upright one.

    Args:
        corner: top and left of the window, as stored.
        size: height and width of the window, as stored.
        whole: height and width of the picture, as stored.
        orientation: as in EXIF, 1 to 8.

    Returns:
        Top and left of the window in the upright picture.
    """
    if transposes(orientation):
        corner, size, whole = corner[::-1], size[::-1], whole[::-1]
    top, left = corner
    if reverses_rows(orientation):
        top = whole[0] - top - size[0]
    if reverses_columns(orientation):
        left = whole[1] - left - size[1]
    return top, left
