"""Read the rows that a survey needs: every k-th row of the upright image, in windows.

Rows are chosen in the upright image, so that they hold the same pixels however the image is stored.
Stored rows are read once, from top to bottom. Of an image that is stored on its side all rows are
read, and every k-th pixel of each is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.kernels import SurveyKernels
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
"""Pixels that are read at once."""


@dataclass(frozen=True)
class SampledWindow:
    """A window of the upright image that holds every k-th row.

    Attributes:
        pixels: R×C×K of the image's dtype.
        first: number of the first row among the sampled rows.
        left: first column in the upright image.
        new_columns: columns of the window that no earlier window held.
        progress: rows read so far, and rows to read in all.
    """

    pixels: Pixels
    first: int
    left: int
    new_columns: slice
    progress: tuple[int, int]


def sampled_rows(height: int, step: int) -> range:
    """Return the rows of the upright image that are read.

    Args:
        height: rows of the upright image.
        step: distance between the rows that are read.
    """
    return range(step // 2, height, step)


def read_windows(
    image: Any,
    rows: range,
    *,
    orientation: int = 1,
    origin: int = 0,
    overlap: int = 0,
    kernels: SurveyKernels | None = None,
) -> Iterator[SampledWindow]:
    """Read rows of the upright image, in windows that together hold all columns.

    Args:
        image: anything that gives numpy arrays for row slices of any step.
        rows: evenly spaced rows of the upright image.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        origin: column of the upright image, a panorama, that becomes column 0.
        overlap: columns that a window shares with the one before it.
        kernels: what looks for NaN and infinity; numba's by default.

    Yields:
        The windows, in the order of the stored rows.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    if transposes(orientation):
        return _by_columns(image, rows, orientation, overlap, kernels)
    return _by_rows(image, rows, orientation, origin, kernels)


def _stored_rows(rows: range, height: int, *, reverse: bool) -> range:
    """Return where rows of the upright image lie in the stored one, in ascending order."""
    if not reverse or not rows:
        return rows
    return range(height - 1 - rows[-1], height - rows[0], rows.step)


def _by_rows(
    image: Any, rows: range, orientation: int, origin: int, kernels: SurveyKernels | None
) -> Iterator[SampledWindow]:
    """Read windows of an image whose stored rows are rows of the upright image."""
    height, width = image.shape[:2]
    reverse = reverses_rows(orientation)
    stored, count = _stored_rows(rows, height, reverse=reverse), len(rows)
    band = max(1, _BAND_PIXELS // width)
    for start in range(0, count, band):
        part = stored[start : start + band]
        pixels = as_channels(image[part.start : part[-1] + 1 : part.step])
        require_finite(pixels, part.start, step=part.step, kernels=kernels)
        pixels = to_upright(pixels, orientation)
        if origin:
            pixels = np.roll(pixels, -origin, axis=1)
        done = start + len(part)
        first = count - done if reverse else start
        yield SampledWindow(pixels, first, 0, slice(0, width), (done, count))


def _by_columns(
    image: Any, rows: range, orientation: int, overlap: int, kernels: SurveyKernels | None
) -> Iterator[SampledWindow]:
    """Read windows of an image whose stored rows are columns of the upright image."""
    stored_height, stored_width = image.shape[:2]
    width = upright_size(stored_height, stored_width, orientation)[1]
    columns = _stored_rows(rows, stored_width, reverse=reverses_rows(orientation))
    band = max(1, _BAND_PIXELS // stored_width)
    kept: Pixels | None = None
    for top in range(0, stored_height, band):
        bottom = min(top + band, stored_height)
        pixels = as_channels(image[top:bottom])
        require_finite(pixels, top, kernels=kernels)
        pixels = pixels[:, columns.start : columns.stop : columns.step]
        shared = 0
        if kept is not None:
            shared = len(kept)
            pixels = np.concatenate([kept, pixels])
        kept = pixels[max(len(pixels) - overlap, 0) :].copy() if overlap else None
        count = bottom - top
        if reverses_columns(orientation):
            left, new_columns = width - bottom, slice(0, count)
        else:
            left, new_columns = top - shared, slice(shared, shared + count)
        yield SampledWindow(
            to_upright(pixels, orientation), 0, left, new_columns, (bottom, stored_height)
        )
