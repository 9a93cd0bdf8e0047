"""The numba kernels around the detail network: its input planes, and its output into a sum."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import kernel
from drht_plugin.bridge.layout import PLANES
from drht_plugin.bridge.scalars import between_rows, grid_columns

Array = npt.NDArray[Any]

_f32 = np.float32
_CLIP_FROM = _f32(0.95)
_Y_MOST = _f32(3)
_NOISE_SCALE = _f32(20)
"""Noise is seen in twentieths of the range, as other planes are in their own."""


@kernel
def detail_planes(
    display: Array,
    guided: Array,
    hidden: Array,
    rows: Array,
    columns: Array,
    overview: Array,
    height: int,
    width: int,
    wrap: bool,
    planes: Array,
) -> None:
    """What the detail network sees of one tile.

    display, guided: R×C×3 float32, x and its guided correction, in 0..1; R, C even. hidden: R×C
    bool, pixels in whose place the overview's are seen; or empty. rows, columns: int64, the tile's
    R and C global coordinates, inside the image of height × width. overview: h×w×11 float32: x, T,
    y, noise. planes: (R/2)×(C/2)×(4·PLANES) float32.
    """
    over_h, over_w = overview.shape[0], overview.shape[1]
    zero, one = _f32(0), _f32(1)
    for pair in numba.prange(display.shape[0] // 2):
        slab = np.empty((over_w, 11), np.float32)
        for dy in range(2):
            i = 2 * pair + dy
            between_rows(overview, (rows[i] + 0.5) / height * over_h - 0.5, slab)
            for j in range(display.shape[1]):
                left, right, share = grid_columns(
                    (columns[j] + 0.5) / width * over_w - 0.5, over_w, wrap
                )
                out = planes[pair, j >> 1]
                n = PLANES * (2 * dy + (j & 1))
                most = zero
                for c in range(3):
                    low = slab[left, c] + share * (slab[right, c] - slab[left, c])
                    tone = slab[left, 3 + c] + share * (slab[right, 3 + c] - slab[left, 3 + c])
                    x, corrected = display[i, j, c], guided[i, j, c]
                    if hidden.size > 0 and hidden[i, j]:
                        x, corrected = low, tone
                    most = max(most, x)
                    y = slab[left, 6 + c] + share * (slab[right, 6 + c] - slab[left, 6 + c])
                    out[n + c] = x
                    out[n + 3 + c] = x - low
                    out[n + 6 + c] = tone
                    out[n + 9 + c] = min(max(y, zero), _Y_MOST)
                    out[n + 12 + c] = corrected
                out[n + 15] = max((most - _CLIP_FROM) * (one / (one - _CLIP_FROM)), zero)
                for c in range(2):
                    noise = slab[left, 9 + c] + share * (slab[right, 9 + c] - slab[left, 9 + c])
                    out[n + 16 + c] = min(_NOISE_SCALE * noise, one)


@kernel
def add_tile(
    guided: Array,
    lacking: Array,
    top: int,
    left: int,
    row_weights: Array,
    column_weights: Array,
    total: Array,
) -> None:
    """Add a tile's T, guided plus what the network says it lacks, to a weighted sum.

    guided: R×C×3 float32; lacking: (R/2)×(C/2)×12 float32; top, left: the first pixel of the tile
    that counts; total: n×m×3 float32, weighted by row_weights (n) and column_weights (m).
    """
    for i in numba.prange(total.shape[0]):
        row = top + i
        for j in range(total.shape[1]):
            column = left + j
            weight = row_weights[i] * column_weights[j]
            n = 3 * (2 * (row & 1) + (column & 1))
            for c in range(3):
                value = guided[row, column, c] + lacking[row >> 1, column >> 1, n + c]
                total[i, j, c] += weight * value
