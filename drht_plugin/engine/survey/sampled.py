"""The pixels that a survey reads of an image, upright: every k-th row of it, in windows.

Which pixels are read is decided in the upright image, so that they are the same however the image
is stored. Stored rows are read from top to bottom, once; of an image stored on its side all are,
and every k-th pixel of each is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import as_channels, require_finite
from drht_plugin.orientation import (
    reverses_columns,
    reverses_rows,
    to_upright,
    transposes,
    upright_size,
)

Pixels = npt.NDArray[Any]

_BAND_PIXELS = 1 << 22


@dataclass(frozen=True)
class Sampled:
    """A window of an upright image, some rows apart.

    pixels: R×C×K. first: number of its first row among those sampled. left: its first column.
    fresh: its columns that no window before it had. share: how much is read now, 0..1, as rows done
    and rows in all.
    """

    pixels: Pixels
    first: int
    left: int
    fresh: slice
    share: tuple[int, int]


def sampled_rows(height: int, step: int) -> range:
    """The rows that are read of an upright image, `step` apart."""
    return range(step // 2, height, step)


def sampled(
    image: Any, rows: range, *, orientation: int = 1, origin: int = 0, lap: int = 0
) -> Iterator[Sampled]:
    """Windows that hold rows of an upright image, all columns of each.

    Args:
        image: anything that gives numpy arrays by row slices of any step.
        rows: of the upright image, evenly spaced.
        orientation: how the image is stored, as in EXIF.
        origin: the upright image's column that columns are counted from, of a panorama.
        lap: columns that a window shares with the one before it.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    if transposes(orientation):
        return _across(image, rows, orientation, lap)
    return _down(image, rows, orientation, origin)


def _stored(rows: range, height: int, *, reverse: bool) -> range:
    """Where rows of an upright axis lie in the stored one, in ascending order."""
    if not reverse or not rows:
        return rows
    return range(height - 1 - rows[-1], height - rows[0], rows.step)


def _down(image: Any, rows: range, orientation: int, origin: int) -> Iterator[Sampled]:
    height, width = image.shape[:2]
    reverse = reverses_rows(orientation)
    stored, count = _stored(rows, height, reverse=reverse), len(rows)
    band = max(1, _BAND_PIXELS // width)
    for start in range(0, count, band):
        part = stored[start : start + band]
        pixels = as_channels(image[part.start : part[-1] + 1 : part.step])
        require_finite(pixels, part.start, step=part.step)
        pixels = to_upright(pixels, orientation)
        if origin:
            pixels = np.roll(pixels, -origin, axis=1)
        done = start + len(part)
        first = count - done if reverse else start
        yield Sampled(pixels, first, 0, slice(0, width), (done, count))


def _across(image: Any, rows: range, orientation: int, lap: int) -> Iterator[Sampled]:
    """As `_down`, where stored rows are columns."""
    stored_height, stored_width = image.shape[:2]
    width = upright_size(stored_height, stored_width, orientation)[1]
    columns = _stored(rows, stored_width, reverse=reverses_rows(orientation))
    band = max(1, _BAND_PIXELS // stored_width)
    kept: Pixels | None = None
    for top in range(0, stored_height, band):
        bottom = min(top + band, stored_height)
        pixels = as_channels(image[top:bottom])
        require_finite(pixels, top)
        pixels = pixels[:, columns.start : columns.stop : columns.step]
        lapped = 0
        if kept is not None:
            lapped = len(kept)
            pixels = np.concatenate([kept, pixels])
        kept = pixels[max(len(pixels) - lap, 0) :].copy() if lap else None
        count = bottom - top
        if reverses_columns(orientation):
            left, fresh = width - bottom, slice(0, count)
        else:
            left, fresh = top - lapped, slice(lapped, lapped + count)
        yield Sampled(to_upright(pixels, orientation), 0, left, fresh, (bottom, stored_height))
