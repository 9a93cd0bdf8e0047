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
from drht_plugin.engine.source import read_rows
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
    span: range | None = None,
) -> Iterator[SampledWindow]:
    """Read rows of the upright image, in windows that together hold all columns.

    Args:
        image: anything that gives numpy arrays for row slices of any step.
        rows: evenly spaced rows of the upright image.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        origin: column of the upright image, a panorama, that becomes column 0.
        overlap: columns that a window shares with the one before it.
        kernels: what looks for NaN and infinity; numba's by default.
        span: stored rows to read; None reads them all. Columns that it shares with rows before it
            are read again.

    Yields:
        The windows, in the order of the stored rows.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    span = range(image.shape[0]) if span is None else span
    if transposes(orientation):
        return _by_columns(image, rows, orientation, overlap, kernels, span)
    return _by_rows(image, rows, orientation, origin, kernels, span)


def stored_rows(rows: range, count: int, orientation: int = 1, span: range | None = None) -> range:
    """Return where rows of the upright image lie in the stored one, in ascending order.

    Args:
        rows: evenly spaced rows of the upright image.
        count: stored rows; of an image that is stored on its side, stored columns.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        span: only what lies in this span is returned; None for all.
    """
    if reverses_rows(orientation) and rows:
        rows = range(count - 1 - rows[-1], count - rows[0], rows.step)
    if span is None:
        return rows
    before = max(0, -(-(span.start - rows.start) // rows.step)) if rows else 0
    inside = rows[before:]
    return inside[: max(0, -(-(span.stop - inside.start) // rows.step))] if inside else inside


def _by_rows(
    image: Any,
    rows: range,
    orientation: int,
    origin: int,
    kernels: SurveyKernels | None,
    span: range,
) -> Iterator[SampledWindow]:
    """Read windows of an image whose stored rows are rows of the upright image."""
    height, width = image.shape[:2]
    reverse = reverses_rows(orientation)
    stored = stored_rows(rows, height, orientation, span)
    count = len(stored)
    band = max(1, _BAND_PIXELS // width)
    for start in range(0, count, band):
        part = stored[start : start + band]
        pixels = as_channels(read_rows(image, part.start, part[-1] + 1, part.step))
        require_finite(pixels, part.start, step=part.step, kernels=kernels)
        pixels = to_upright(pixels, orientation)
        if origin:
            pixels = np.roll(pixels, -origin, axis=1)
        topmost = height - 1 - part[-1] if reverse else part.start
        first = (topmost - rows.start) // rows.step
        yield SampledWindow(pixels, first, 0, slice(0, width), (start + len(part), count))


def _by_columns(
    image: Any,
    rows: range,
    orientation: int,
    overlap: int,
    kernels: SurveyKernels | None,
    span: range,
) -> Iterator[SampledWindow]:
    """Read windows of an image whose stored rows are columns of the upright image."""
    stored_height, stored_width = image.shape[:2]
    width = upright_size(stored_height, stored_width, orientation)[1]
    columns = stored_rows(rows, stored_width, orientation)
    band = max(1, _BAND_PIXELS // stored_width)
    kept: Pixels | None = None
    if span.start and overlap:
        before = as_channels(read_rows(image, max(span.start - overlap, 0), span.start))
        kept = before[:, columns.start : columns.stop : columns.step]
    for top in range(span.start, span.stop, band):
        bottom = min(top + band, span.stop)
        pixels = as_channels(read_rows(image, top, bottom))
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
            to_upright(pixels, orientation), 0, left, new_columns, (bottom, span.stop)
        )
