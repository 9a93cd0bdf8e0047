"""Kernels around the detail network: they make its input planes, and add its output to a sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import inline, shared_kernel
from drht_plugin.bridge.scalars import interpolate_rows, neighbour_columns
from drht_plugin.bridge.sizes import (
    CLIP_FROM,
    CONTRAST_DEVIATIONS,
    CONTRAST_LEAST,
    FINE_SCALE,
    MEAN_RADIUS,
    NOISE_SCALE,
    PLANES,
    Y_MOST,
)

Array = npt.NDArray[Any]

_f32 = np.float32
_CLIP_FROM, _Y_MOST, _NOISE_SCALE = _f32(CLIP_FROM), _f32(Y_MOST), _f32(NOISE_SCALE)
_DEVIATIONS, _LEAST = _f32(CONTRAST_DEVIATIONS), _f32(CONTRAST_LEAST)
_FINE_SCALE = _f32(FINE_SCALE)
_SHARE = _f32(1 / (2 * MEAN_RADIUS + 1) ** 2)
"""Weight of each pixel in the mean around a pixel."""


@shared_kernel(lambda _, rows, columns, out: out.shape[:2])
def gather_pixels(
    picture: Array, rows: Array, columns: Array, out: Array, first: int, last: int
) -> None:
    """Copy the pixels at rows × columns of a picture, in three channels.

    Args:
        picture: H×W×k float32; with k = 1 gray is repeated.
        rows: R int64, which may contain duplicates where the picture is mirrored.
        columns: C int64, likewise.
        out: R×C×3 float32, written to.
        first: first row to work on.
        last: row after the last.
    """
    most = picture.shape[2] - 1
    for i in range(first, last):
        row = picture[rows[i]]
        for j in range(out.shape[1]):
            for c in range(3):
                out[i, j, c] = row[columns[j], min(c, most)]


@inline
def _interpolate(line: Array, left: int, right: int, share: float, c: int) -> float:
    """Interpolate a value of an overview's row between two columns."""
    return line[left, c] + share * (line[right, c] - line[left, c])


@shared_kernel(lambda hidden, *_: hidden.shape)
def fill_hidden(
    hidden: Array,
    rows: Array,
    columns: Array,
    overview: Array,
    height: int,
    width: int,
    wrap: bool,
    display: Array,
    guided: Array,
    first: int,
    last: int,
) -> None:
    """Replace the colours of transparent pixels by those of the overview.

    Args:
        hidden: R×C bool, mask of the transparent pixels.
        rows: R int64, see `detail_planes`.
        columns: C int64, see `detail_planes`.
        overview: h×w×11 float32, see `detail_planes`.
        height: height of the image in pixels.
        width: width of the image in pixels.
        wrap: whether columns are periodic.
        display: R×C×3 float32, x; written to.
        guided: R×C×3 float32, guided T; written to.
        first: first row to work on.
        last: row after the last.
    """
    over_h, over_w = overview.shape[0], overview.shape[1]
    for i in range(first, last):
        line = np.empty((over_w, overview.shape[2]), np.float32)
        interpolate_rows(overview, (rows[i] + 0.5) / height * over_h - 0.5, line)
        for j in range(hidden.shape[1]):
            if hidden[i, j]:
                left, right, share = neighbour_columns(
                    (columns[j] + 0.5) / width * over_w - 0.5, over_w, wrap
                )
                for c in range(3):
                    display[i, j, c] = _interpolate(line, left, right, share, c)
                    guided[i, j, c] = _interpolate(line, left, right, share, 3 + c)


@shared_kernel(lambda display, *_: (display.shape[0] // 2, 2 * display.shape[1]))
def detail_planes(
    display: Array,
    guided: Array,
    rows: Array,
    columns: Array,
    overview: Array,
    height: int,
    width: int,
    wrap: bool,
    planes: Array,
    first: int,
    last: int,
) -> None:
    """Fill the planes that the detail network sees of one tile.

    Args:
        display: R×C×3 float32 in 0..1, x; R and C are even.
        guided: R×C×3 float32 in 0..1, guided T.
        rows: R int64, row coordinates in the image.
        columns: C int64, column coordinates in the image.
        overview: h×w×11 float32: x, T, y, noise at both distances.
        height: height of the image in pixels.
        width: width of the image in pixels.
        wrap: whether columns are periodic.
        planes: (R/2)×(C/2)×(4·PLANES) float32, written to.
        first: first row to work on.
        last: row after the last.
    """
    over_h, over_w = overview.shape[0], overview.shape[1]
    zero, one = _f32(0), _f32(1)
    lefts = np.empty(display.shape[1], np.int64)
    rights = np.empty(display.shape[1], np.int64)
    shares = np.empty(display.shape[1], np.float32)
    for j in range(display.shape[1]):
        lefts[j], rights[j], shares[j] = neighbour_columns(
            (columns[j] + 0.5) / width * over_w - 0.5, over_w, wrap
        )
    for pair in range(first, last):
        line = np.empty((over_w, 11), np.float32)
        sums = np.empty(3 * (display.shape[1] + 2 * MEAN_RADIUS), np.float32)
        against = np.empty((display.shape[1], 3), np.float32)
        against_guided = np.empty((display.shape[1], 3), np.float32)
        for dy in range(2):
            i = 2 * pair + dy
            interpolate_rows(overview, (rows[i] + 0.5) / height * over_h - 0.5, line)
            _local_contrast(display, i, sums, against.reshape(-1))
            _local_contrast(guided, i, sums, against_guided.reshape(-1))
            for j in range(display.shape[1]):
                left, right, share = lefts[j], rights[j], shares[j]
                out = planes[pair, j >> 1]
                n = PLANES * (2 * dy + (j & 1))
                for c in range(2):
                    noise = _interpolate(line, left, right, share, 9 + c)
                    out[n + 16 + c] = min(_NOISE_SCALE * noise, one)
                usual = _DEVIATIONS * out[n + 16] + _LEAST
                most = zero
                for c in range(3):
                    x, y = display[i, j, c], _interpolate(line, left, right, share, 6 + c)
                    most = max(most, x)
                    out[n + c] = x
                    out[n + 3 + c] = x - _interpolate(line, left, right, share, c)
                    out[n + 6 + c] = _interpolate(line, left, right, share, 3 + c)
                    out[n + 9 + c] = min(max(y, zero), _Y_MOST)
                    out[n + 12 + c] = guided[i, j, c]
                    out[n + 18 + c] = against[j, c] / (abs(against[j, c]) + usual)
                    out[n + 21 + c] = _FINE_SCALE * against_guided[j, c]
                out[n + 15] = max((most - _CLIP_FROM) * (one / (one - _CLIP_FROM)), zero)


@inline
def _local_contrast(picture: Array, i: int, sums: Array, out: Array) -> None:
    """Subtract the means over 5×5 pixels from row i of an R×C×3 picture; edges are repeated.

    The two pixels (`MEAN_RADIUS`) on each side are written out, so that the loops vectorise. `sums`
    has room for 3·C values and 3·`MEAN_RADIUS` more at each end; `out` for 3·C.
    """
    count, edge = out.shape[0], 3 * MEAN_RADIUS
    middle = sums[edge : edge + count]
    last = picture.shape[0] - 1
    above = picture[max(i - 2, 0)].reshape(-1), picture[max(i - 1, 0)].reshape(-1)
    row = picture[i].reshape(-1)
    below = picture[min(i + 1, last)].reshape(-1), picture[min(i + 2, last)].reshape(-1)
    for k in range(count):
        middle[k] = above[0][k] + above[1][k] + row[k] + below[0][k] + below[1][k]
    for k in range(edge):
        sums[k] = middle[k % 3]
        sums[edge + count + k] = middle[count - 3 + k % 3]
    for k in range(count):
        total = sums[k] + sums[k + 3] + sums[k + 6] + sums[k + 9] + sums[k + 12]
        out[k] = row[k] - _SHARE * total


@shared_kernel(lambda *given: given[-1].shape[:2])
def add_tile(
    guided: Array,
    residual: Array,
    top: int,
    left: int,
    row_weights: Array,
    column_weights: Array,
    total: Array,
    first: int,
    last: int,
) -> None:
    """Add a tile's T, guided T plus the network's residual, to a weighted sum.

    Args:
        guided: R×C×3 float32, guided T.
        residual: (R/2)×(C/2)×12 float32.
        top: row of the tile's first pixel that counts.
        left: column of the tile's first pixel that counts.
        row_weights: n float32.
        column_weights: m float32.
        total: n×m×3 float32, added to.
        first: first row to work on.
        last: row after the last.
    """
    for i in range(first, last):
        row = top + i
        for j in range(total.shape[1]):
            column = left + j
            weight = row_weights[i] * column_weights[j]
            n = 3 * (2 * (row & 1) + (column & 1))
            for c in range(3):
                value = guided[row, column, c] + residual[row >> 1, column >> 1, n + c]
                total[i, j, c] += weight * value
