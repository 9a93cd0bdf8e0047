"""Kernels that count and sum over an image's pixels: light, noise, moments, non-finite values.

Each works on one window and knows its position in the image, so the sums do not depend on the
tiling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import inline, kernel, shared_kernel
from drht_plugin.bridge.scalars import LUMA_B, LUMA_G, LUMA_R, neighbour_columns
from drht_plugin.bridge.sharing import share_rows

Array = npt.NDArray[Any]

_f32 = np.float32


@shared_kernel(lambda words, pitch, length, mask, have: (have.size, length))
def mark_rows_with_bits(
    words: Array, pitch: int, length: int, mask: Any, have: Array, first: int, last: int
) -> None:
    """Mark each row that has a word with all bits of `mask` set.

    Args:
        words: flat rows of uint16 or uint32, see `rows.flat_rows`.
        pitch: elements from one row to the next.
        length: words of a row.
        mask: adjacent bits.
        have: uint8, one for each row; written to.
        first: first row to work on.
        last: row after the last.
    """
    for i in range(first, last):
        row = words[i * pitch : i * pitch + length]
        most = np.uint32(0)
        for n in range(row.size):
            most = max(most, np.uint32(np.uint32(row[n]) & mask))
        have[i] = most == mask


@shared_kernel(lambda *given: given[-1].shape)
def light_codes(
    pixels: Array, pitch: int, channels: int, alpha: int, codes: Array, first: int, last: int
) -> None:
    """Convert float rows to codes 0..65535 of a light table; alpha becomes 0 or 1.

    Args:
        pixels: flat rows of float32, see `rows.flat_rows`.
        pitch: elements from one row to the next.
        channels: channels of a pixel.
        alpha: index of the alpha channel, or −1.
        codes: R×(columns·channels) uint16, written to.
        first: first row to work on.
        last: row after the last.
    """
    length = codes.shape[1]
    for i in range(first, last):
        row = pixels[i * pitch : i * pitch + length]
        for n in range(length):
            # Clamp first, since large floats would overflow in the conversion.
            value = min(max(row[n], _f32(0)), _f32(1))
            codes[i, n] = np.int32(value * _f32(65535) + _f32(0.5))
        if alpha >= 0:
            for n in range(alpha, length, channels):
                codes[i, n] = row[n] != 0


def area_average(
    codes: Array,
    pitch: int,
    layout: tuple[int, int, int],
    table: Array,
    down: tuple[int, int, int],
    across: tuple[int, int],
    sums: Array,
) -> None:
    """Add a window's linear light to the overview pixels that it covers.

    All sums are integers, so they are the same in any order and from any windows. Pixels whose
    alpha is 0 do not count.

    Args:
        codes: flat rows of uint8 or uint16, see `rows.flat_rows`.
        pitch: elements from one row to the next.
        layout: columns of the window; channels; index of the alpha channel, or −1.
        table: colours×n int32, linear light of the codes 0..n−1 of each colour.
        down: index of the first row among the sampled ones; image rows from one sample to the next;
            rows of the image. A sampled row stands for one step, the last one also for the rest.
        across: the window's first column; columns of the image.
        sums: h×w×(colours + 1) int64, added to: the light of each channel, and the area that
            counted, in 1/(h·w) of a pixel.
    """
    columns, channels, _ = layout
    first, step, height = down
    rows, samples = sums.shape[0], (height - 1 - step // 2) // step + 1
    count = (codes.size - columns * channels) // max(pitch, 1) + 1
    end = height if first + count == samples else (first + count) * step
    top, bottom = first * step * rows // height, (end * rows - 1) // height + 1

    def add(begin: int, stop: int) -> None:
        _area_average(codes, pitch, layout, table, down, across, sums, top + begin, top + stop)

    # Each thread has its own rows of the overview.
    share_rows(bottom - top, count * columns // max(bottom - top, 1), add)


@kernel
def _area_average(
    codes: Array,
    pitch: int,
    layout: tuple[int, int, int],
    table: Array,
    down: tuple[int, int, int],
    across: tuple[int, int],
    sums: Array,
    top: int,
    bottom: int,
) -> None:
    """Run `area_average` on some rows of the overview."""
    columns, channels, alpha = layout
    first, step, height = down
    offset, width = across
    out_h, out_w, colours = sums.shape[0], sums.shape[1], sums.shape[2] - 1
    sampled = (height - 1 - step // 2) // step + 1
    count = (codes.size - columns * channels) // max(pitch, 1) + 1
    first_j = offset * out_w // width
    last_j = ((offset + columns) * out_w - 1) // width + 1
    for i in range(top, bottom):
        above, below = i * height, (i + 1) * height
        for k in range(max(first, min(above // out_h // step, sampled - 1)), first + count):
            row_end = height if k == sampled - 1 else (k + 1) * step
            share = min(row_end * out_h, below) - max(k * step * out_h, above)
            if share <= 0:
                break
            row = codes[(k - first) * pitch : (k - first) * pitch + columns * channels]
            for j in range(first_j, last_j):
                left, right = j * width, (j + 1) * width
                start = max(left // out_w, offset)
                stop = min((right - 1) // out_w + 1, offset + columns)
                r, g, b, area = 0, 0, 0, 0
                for x in range(start, stop):
                    n = (x - offset) * channels
                    if alpha >= 0 and row[n + alpha] == 0:
                        continue
                    part = out_w
                    if x == start or x == stop - 1:
                        part = min((x + 1) * out_w, right) - max(x * out_w, left)
                    r += part * table[0, row[n]]
                    if colours == 3:
                        g += part * table[1, row[n + 1]]
                        b += part * table[2, row[n + 2]]
                    area += part
                sums[i, j, 0] += share * r
                if colours == 3:
                    sums[i, j, 1] += share * g
                    sums[i, j, 2] += share * b
                sums[i, j, colours] += share * area


@kernel
def count_differences(
    codes: Array,
    pitch: int,
    layout: tuple[int, int, int],
    across: tuple[int, int],
    display: Array,
    scale: float,
    counts: Array,
) -> None:
    """Count second differences of luma along rows, by luma and by size.

    Transparent pixels are skipped.

    Args:
        codes: flat rows of uint8 or uint16, see `rows.flat_rows`.
        pitch: elements from one row to the next.
        layout: columns; channels; index of the alpha channel, or −1.
        across: first column that is sampled; columns from one sample to the next.
        display: display values of the codes, float32.
        scale: bins of the histogram for a difference of 1.
        counts: distances×levels×bins int64, added to; distances are 1, 2, … pixels.
    """
    columns, channels, alpha = layout
    begin, step = across
    reach, levels, steps = counts.shape
    rows = (codes.size - columns * channels) // max(pitch, 1) + 1
    luma = np.empty(2 * reach + 1, np.float32)
    for i in range(rows):
        row = codes[i * pitch : i * pitch + columns * channels]
        for j in range(begin, columns - reach, step):
            hidden = False
            for k in range(2 * reach + 1):
                n = (j + k - reach) * channels
                hidden = hidden or (alpha >= 0 and row[n + alpha] == 0)
                luma[k] = display[row[n]]
                if channels > 2:
                    g, b = display[row[n + 1]], display[row[n + 2]]
                    luma[k] = LUMA_R * luma[k] + LUMA_G * g + LUMA_B * b
            if hidden:
                continue
            middle = luma[reach]
            for d in range(reach):
                before, after = luma[reach - d - 1], luma[reach + d + 1]
                mean = _f32(0.25) * (before + after) + _f32(0.5) * middle
                # Values clipped at black or white have lost their noise.
                if mean < _f32(0.5 / 255) or mean > _f32(1 - 1 / 255):
                    continue
                level = min(int(mean * _f32(levels)), levels - 1)
                size = abs(before + after - _f32(2) * middle) * _f32(scale)
                counts[d, level, min(int(size), steps - 1)] += 1


@shared_kernel(lambda *given: (given[-1].shape[0], given[0].shape[0] * given[0].shape[1]))
def fit_statistics(
    ldr: Array, target: Array, weight: Array, wrap: bool, moments: Array, first: int, last: int
) -> None:
    """Add up the moments that a tone grid is fitted to, see `survey.fit_grid.fit_tone_grid`.

    Each pixel is shared among the grid cells around it.

    Args:
        ldr: h×w×3 float32 in 0..1.
        target: h×w×3 float32.
        weight: h×w float32, how much each pixel counts.
        wrap: whether columns are periodic.
        moments: gy×gx×gz×22 float64, added to: the 10 distinct products of (r, g, b, 1), and the 12
            products of (r, g, b, 1) with the target.
        first: first row to work on.
        last: row after the last.
    """
    h, w = ldr.shape[0], ldr.shape[1]
    gx, gz = moments.shape[1], moments.shape[2]
    # Each thread has its own rows of the grid, so that every sum is made in one order.
    for row in range(first, last):
        features = np.empty(4, np.float32)
        for i in range(h):
            cy = min(max((i + 0.5) / h * moments.shape[0] - 0.5, 0.0), moments.shape[0] - 1.0)
            wy = 1 - abs(cy - row)
            if wy <= 0:
                continue
            for j in range(w):
                w_pixel = weight[i, j] * wy
                if w_pixel <= 0:
                    continue
                features[0] = ldr[i, j, 0]
                features[1] = ldr[i, j, 1]
                features[2] = ldr[i, j, 2]
                features[3] = 1
                x0, x1, fx = neighbour_columns((j + 0.5) / w * gx - 0.5, gx, wrap)
                z0, z1, fz = _level(features[0], features[1], features[2], gz)
                for corner in range(4):
                    column = x1 if corner & 1 else x0
                    level = z1 if corner & 2 else z0
                    share = w_pixel * (fx if corner & 1 else 1 - fx)
                    share = share * (fz if corner & 2 else 1 - fz)
                    cell = moments[row, column, level]
                    k = 0
                    for a in range(4):
                        for b in range(a, 4):
                            cell[k] += share * features[a] * features[b]
                            k += 1
                    for a in range(4):
                        for c in range(3):
                            cell[10 + 3 * a + c] += share * features[a] * target[i, j, c]


@inline
def _level(r: Any, g: Any, b: Any, count: Any) -> Any:
    """Return the two luma levels around a colour, and the weight of the second."""
    luma = LUMA_R * r + LUMA_G * g + LUMA_B * b
    position = min(max(luma, _f32(0)), _f32(1)) * _f32(count - 1)
    low = min(int(position), count - 2)
    return low, low + 1, position - _f32(low)
