"""From input pixels to output pixels: the tone grid sliced at every one, or a given T mixed in.

A row of pixels goes through passes, each of which vectorises: codes to planes of display values;
for coarse codes, the smoothing of steps; the transforms and what is made of them; planes to codes.
A tone grid is linear along x within a run of pixels between two of its columns, and a sum of 8
hinges along luma, so the transforms need no look-up: their 16 coefficients per number are constant
in a run. It is the same sequence of operations at every pixel, so that no pixel knows its window.
The reference formula in plain numpy stands beside the test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import inline, rows_kernel, share_rows
from drht_plugin.bridge.layout import LEVELS
from drht_plugin.bridge.rows import flat_rows, flat_target, frozen, has_plain_rows
from drht_plugin.bridge.scalars import (
    LUMA_B,
    LUMA_G,
    LUMA_R,
    clamp,
    fma,
    grid_columns,
    grid_rows,
    share_applied,
)

Array = npt.NDArray[Any]

_SEGMENT = 512
"""Pixels of a row whose planes stay in the first cache."""

_LANES = 16
"""Pixels are transformed so many at a time; what is too many is overwritten by the next run."""

_PLANE = _SEGMENT + _LANES

_N = tuple(np.int64(n) for n in range(13))
"""Whole numbers that numba does not compile a function anew for, as it does for literals."""

_f32 = np.float32

_SURE, _UNSURE = _f32(0.8), _f32(0.5)
"""How many codes from the overview a pixel is taken for itself, and for the overview."""


def slice_grid(
    pixels: Array,
    transforms: Array,
    sides: Array,
    place: tuple[int, int, int, int],
    wrap: bool,
    settings: Array,
    out: Array,
) -> None:
    """Correct one window: slice the tone grid, add the residual, mix with the input, encode.

    What lies outside 0..1 in the input is kept on top of the corrected value. Where coarse codes
    are lifted, their steps would show: what is within half a code of the interpolated overview is
    taken for that.

    Args:
        pixels: R×C×K of uint8, uint16 or float32: gray, RGB, and alpha, which is copied.
        transforms: gy×gx×(LEVELS·n·(n + 1)) float32 for n = 1 or 3 colours: of each level and
            output, the factors of the inputs and an offset.
        sides: h×w×2n float32: what the transforms leave over, then the overview of the input, or
            what is far from every pixel where nothing is to be smoothed.
        place: top, left, height, width: where the window lies in the image.
        wrap: columns are periodic.
        settings: float32: value of display code 1.0; 0.5 to round to integers, 0 for floats;
            ceiling of T; strength, shadows, highlights; steps of the codes from 0 to 1 that are
            smoothed where they are lifted, 0 for none.
        out: R×C×K of the same dtype; may not overlap `pixels`.
    """
    top, left, height, width = place
    target = out if has_plain_rows(out) else np.empty(out.shape, out.dtype)
    transforms, sides = frozen(transforms), frozen(sides)

    def correct(first: int, last: int) -> None:
        _slice(
            *flat_rows(pixels[first:last]),
            *flat_target(target[first:last]),
            (last - first, *pixels.shape[1:]),
            transforms,
            sides,
            (top + first, left, height, width),
            wrap,
            settings,
        )

    share_rows(pixels.shape[0], pixels.shape[1], correct)
    if target is not out:
        out[...] = target


@rows_kernel
def _slice(
    pixels: Array,
    pitch: int,
    out: Array,
    out_pitch: int,
    shape: tuple[int, int, int],
    transforms: Array,
    sides: Array,
    place: tuple[int, int, int, int],
    wrap: bool,
    settings: Array,
) -> None:
    """`slice_grid` on flat rows, see `rows`."""
    top, left, height, width = place
    rows, columns, channels = shape
    colours = sides.shape[2] // 2
    codes = settings[6]
    used = 2 * colours if codes > 0 else colours
    runs, shares = _runs(columns, left, width, transforms.shape[1], wrap)
    near, far, side_shares = _sides(columns, left, width, sides.shape[1], wrap)
    hinges = np.empty((len(runs) - 1, 2 * transforms.shape[2]), np.float32)
    hinge_columns = np.empty(transforms.shape[1:], np.float32)
    planes = np.empty(12 * _PLANE, np.float32)
    above = np.empty((used, columns), np.float32)
    below = np.empty((used, columns), np.float32)
    have = below_is = -1
    for i in range(rows):
        y = (top + i + 0.5) / height
        _hinges(transforms, y * transforms.shape[0] - 0.5, runs, hinge_columns, hinges)
        high, low, share = grid_rows(y * sides.shape[0] - 0.5, sides.shape[0])
        if high != have:
            if high == below_is:
                above, below = below, above
            else:
                _expand(sides[high], near, far, side_shares, above)
            _expand(sides[low], near, far, side_shares, below)
            have, below_is = high, low
        run = 0
        for start in range(0, columns, _SEGMENT):
            stop = min(start + _SEGMENT, columns)
            source = pixels[i * pitch + start * channels : i * pitch + stop * channels]
            target = out[i * out_pitch + start * channels : i * out_pitch + stop * channels]
            _decode(source, channels, _f32(1) / settings[0], planes)
            for c in range(used):
                plane = planes[(3 + c if c < colours else 6 + c - colours) * _PLANE :]
                upper, lower = above[c, start:stop], below[c, start:stop]
                for j in range(stop - start):
                    plane[j] = fma(share, lower[j] - upper[j], upper[j])
            if codes > 0:
                _smooth_steps(planes, colours, stop - start, codes)
            else:
                planes[6 * _PLANE : 9 * _PLANE] = planes[: 3 * _PLANE]
            while True:
                first, end = max(runs[run, 0], start), min(runs[run + 1, 0], stop)
                part, part_shares = planes[first - start :], shares[first:]
                count = (end - first + _LANES - 1) // _LANES * _LANES
                if colours == 3:
                    _correct_rgb(hinges[run], part, part_shares, count, settings)
                else:
                    _correct_gray(hinges[run], part, part_shares, count, settings)
                if runs[run + 1, 0] >= stop:
                    break
                run += 1
            _encode(planes, source, channels, settings[0], settings[1], target)


@inline
def _runs(columns: Any, left: Any, width: Any, count: Any, wrap: Any) -> Any:
    """Runs of pixels between the same columns of a grid of `count`, and the second one's share.

    n×3 int64: first pixel, column before it, column behind it, and a last one that ends them all.
    The shares are followed by spare ones.
    """
    runs = np.empty((count + 3, 3), np.int64)
    shares = np.zeros(columns + _LANES, np.float32)
    last = -1
    before = -1
    for j in range(columns):
        x0, x1, shares[j] = grid_columns((j + left + 0.5) / width * count - 0.5, count, wrap)
        if x0 != before:
            last += 1
            runs[last, 0], runs[last, 1], runs[last, 2] = j, x0, x1
            before = x0
    runs[last + 1, 0] = columns
    return runs[: last + 2], shares


@inline
def _sides(columns: Any, left: Any, width: Any, count: Any, wrap: Any) -> Any:
    """Of each pixel, the two columns of the overview beside it, and the second one's share."""
    near, far = np.empty(columns, np.int64), np.empty(columns, np.int64)
    shares = np.empty(columns, np.float32)
    for j in range(columns):
        position = (j + left + 0.5) / width * count - 0.5
        near[j], far[j], shares[j] = grid_columns(position, count, wrap)
    return near, far, shares


@inline
def _hinges(transforms: Any, position: Any, runs: Any, columns: Any, hinges: Any) -> None:
    """What each run's transforms are made of, at a fractional row of the grid.

    hinges: of each run the transform at black, and how much its slope along luma changes it within
    each of the other levels; then how all of these change from the column before to that behind.
    columns: room for the former, of every column of the grid.
    """
    high, low, share = grid_rows(position, transforms.shape[0])
    size = transforms.shape[2]
    step = size // LEVELS
    slab = np.empty(size, np.float32)
    count = len(hinges)
    done = -1
    for run in range(count):
        for k in range(1, 3):
            x = runs[run, k]
            if x == done:
                continue
            upper, lower, column = transforms[high, x], transforms[low, x], columns[x]
            for n in range(size):
                slab[n] = fma(share, lower[n] - upper[n], upper[n])
            for n in range(step):
                column[n] = slab[n]
            for n in range(size - step):
                column[n + step] = slab[n + step] - slab[n]
            done = x
        before, behind, made = columns[runs[run, 1]], columns[runs[run, 2]], hinges[run]
        for n in range(size):
            made[n] = before[n]
            made[size + n] = behind[n] - before[n]


@inline
def _expand(row: Any, near: Any, far: Any, shares: Any, out: Any) -> None:
    """The first planes of a row n×k, at every pixel of the window: planes×columns."""
    for c in range(out.shape[0]):
        for j in range(out.shape[1]):
            value = row[near[j], c]
            out[c, j] = fma(shares[j], row[far[j], c] - value, value)


def _taker(channels: int, colours: int) -> Any:
    """A function from interleaved codes to planes of display values, those of alpha left out.

    One for each layout: with a constant stride the loop vectorises.
    """

    @inline
    def take(source: Any, scale: Any, planes: Any) -> None:
        for j in range(source.size // channels):
            planes[j] = _f32(source[channels * j]) * scale
            if colours == 3:
                planes[_PLANE + j] = _f32(source[channels * j + 1]) * scale
                planes[2 * _PLANE + j] = _f32(source[channels * j + 2]) * scale

    return take


def _putter(channels: int, colours: int) -> Any:
    """A function from planes 9 to 11 to interleaved codes; alpha is copied."""

    @inline
    def put(
        planes: Any, source: Any, scale: Any, rounding: Any, least: Any, most: Any, target: Any
    ) -> None:
        corrected = planes[9 * _PLANE :]
        for j in range(target.size // channels):
            target[channels * j] = clamp(fma(corrected[j], scale, rounding), least, most)
            if colours == 3:
                g, b = corrected[_PLANE + j], corrected[2 * _PLANE + j]
                target[channels * j + 1] = clamp(fma(g, scale, rounding), least, most)
                target[channels * j + 2] = clamp(fma(b, scale, rounding), least, most)
            if channels > colours:
                target[channels * j + colours] = source[channels * j + colours]

    return put


_take_gray, _take_gray_alpha = _taker(1, 1), _taker(2, 1)
_take_rgb, _take_rgb_alpha = _taker(3, 3), _taker(4, 3)
_put_gray, _put_gray_alpha = _putter(1, 1), _putter(2, 1)
_put_rgb, _put_rgb_alpha = _putter(3, 3), _putter(4, 3)


@inline
def _decode(source: Any, channels: Any, scale: Any, planes: Any) -> None:
    """Interleaved codes to planes 0 to 2."""
    if channels == 3:
        _take_rgb(source, scale, planes)
    elif channels == 4:
        _take_rgb_alpha(source, scale, planes)
    elif channels == 1:
        _take_gray(source, scale, planes)
    else:
        _take_gray_alpha(source, scale, planes)


@inline
def _encode(
    planes: Any, source: Any, channels: Any, scale: Any, rounding: Any, target: Any
) -> None:
    """Planes 9 to 11 to interleaved codes, rounded and clamped for integers (rounding 0.5)."""
    least = _f32(0) if rounding > 0 else _f32(-np.inf)
    most = scale if rounding > 0 else _f32(np.inf)
    if channels == 3:
        _put_rgb(planes, source, scale, rounding, least, most, target)
    elif channels == 4:
        _put_rgb_alpha(planes, source, scale, rounding, least, most, target)
    elif channels == 1:
        _put_gray(planes, source, scale, rounding, least, most, target)
    else:
        _put_gray_alpha(planes, source, scale, rounding, least, most, target)


@inline
def _correct_rgb(hinges: Any, planes: Any, shares: Any, count: Any, settings: Any) -> None:
    """Planes 9 to 11, the result.

    Of planes 0 to 2, display values; 3 to 5, the residual; 6 to 8, what the transforms see.
    """
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        v0, v1, v2 = planes[j], planes[_PLANE + j], planes[2 * _PLANE + j]
        r = clamp(planes[6 * _PLANE + j], zero, one)
        g = clamp(planes[7 * _PLANE + j], zero, one)
        b = clamp(planes[8 * _PLANE + j], zero, one)
        at = _places(fma(LUMA_B, b, fma(LUMA_G, g, LUMA_R * r)), shares[j])
        t0 = planes[3 * _PLANE + j] + _number(hinges, _N[3], _N[12], at)
        t0 = fma(_number(hinges, _N[0], _N[12], at), r, t0)
        t0 = fma(_number(hinges, _N[1], _N[12], at), g, t0)
        t0 = fma(_number(hinges, _N[2], _N[12], at), b, t0)
        t1 = planes[4 * _PLANE + j] + _number(hinges, _N[7], _N[12], at)
        t1 = fma(_number(hinges, _N[4], _N[12], at), r, t1)
        t1 = fma(_number(hinges, _N[5], _N[12], at), g, t1)
        t1 = fma(_number(hinges, _N[6], _N[12], at), b, t1)
        t2 = planes[5 * _PLANE + j] + _number(hinges, _N[11], _N[12], at)
        t2 = fma(_number(hinges, _N[8], _N[12], at), r, t2)
        t2 = fma(_number(hinges, _N[9], _N[12], at), g, t2)
        t2 = fma(_number(hinges, _N[10], _N[12], at), b, t2)
        d0, d1, d2 = (
            clamp(t0, zero, ceiling) - clamp(v0, zero, one),
            clamp(t1, zero, ceiling) - clamp(v1, zero, one),
            clamp(t2, zero, ceiling) - clamp(v2, zero, one),
        )
        change = fma(LUMA_B, d2, fma(LUMA_G, d1, LUMA_R * d0))
        share = share_applied(change, strength, shadows, highlights)
        planes[9 * _PLANE + j] = fma(share, d0, v0)
        planes[10 * _PLANE + j] = fma(share, d1, v1)
        planes[11 * _PLANE + j] = fma(share, d2, v2)


@inline
def _correct_gray(hinges: Any, planes: Any, shares: Any, count: Any, settings: Any) -> None:
    """As `_correct_rgb`, of planes 0, 3 and 6, to 9."""
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        v = planes[j]
        x = clamp(planes[6 * _PLANE + j], zero, one)
        at = _places(x, shares[j])
        t = planes[3 * _PLANE + j] + _number(hinges, _N[1], _N[2], at)
        t = clamp(fma(_number(hinges, _N[0], _N[2], at), x, t), zero, ceiling)
        change = t - clamp(v, zero, one)
        share = share_applied(change, strength, shadows, highlights)
        planes[9 * _PLANE + j] = fma(share, change, v)


@inline
def _smooth_steps(planes: Any, colours: Any, count: Any, codes: Any) -> None:
    """Planes 6 to 8, the overview, to what the transforms are to see of planes 0 to 2.

    A code stands for all light within a step; of that, the overview's is taken.
    """
    zero, one = _f32(0), _f32(1)
    slope = one / (_SURE - _UNSURE)
    for c in range(colours):
        for j in range(c * _PLANE, c * _PLANE + count):
            given = planes[j]
            off = planes[6 * _PLANE + j] - given
            unsure = clamp((_SURE - abs(off) * codes) * slope, zero, one)
            planes[6 * _PLANE + j] = fma(unsure, off, given)


def finish(pixels: Array, corrected: Array, settings: Array, out: Array) -> None:
    """Mix corrected pixels with the input by strength, and encode.

    Args:
        pixels: R×C×K of uint8, uint16 or float32: gray, RGB, and alpha, which is copied.
        corrected: R×C×3 float32, T, of which gray pixels take the luma.
        settings: as of `slice_grid`.
        out: R×C×K of the same dtype; may not overlap `pixels`.
    """
    target = out if has_plain_rows(out) else np.empty(out.shape, out.dtype)

    def encode(first: int, last: int) -> None:
        _finish(
            *flat_rows(pixels[first:last]),
            *flat_rows(corrected[first:last]),
            *flat_target(target[first:last]),
            (last - first, *pixels.shape[1:]),
            settings,
        )

    share_rows(pixels.shape[0], pixels.shape[1], encode)
    if target is not out:
        out[...] = target


@rows_kernel
def _finish(
    pixels: Array,
    pitch: int,
    corrected: Array,
    corrected_pitch: int,
    out: Array,
    out_pitch: int,
    shape: tuple[int, int, int],
    settings: Array,
) -> None:
    """`finish` on flat rows, see `rows`."""
    rows, columns, channels = shape
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    planes = np.empty(12 * _PLANE, np.float32)
    for i in range(rows):
        for start in range(0, columns, _SEGMENT):
            stop = min(start + _SEGMENT, columns)
            source = pixels[i * pitch + start * channels : i * pitch + stop * channels]
            target = out[i * out_pitch + start * channels : i * out_pitch + stop * channels]
            row = i * corrected_pitch
            _decode(source, channels, one / settings[0], planes)
            _take_rgb(corrected[row + 3 * start : row + 3 * stop], one, planes[3 * _PLANE :])
            if channels >= 3:
                for j in range(stop - start):
                    v0, v1, v2 = planes[j], planes[_PLANE + j], planes[2 * _PLANE + j]
                    d0 = clamp(planes[3 * _PLANE + j], zero, ceiling) - clamp(v0, zero, one)
                    d1 = clamp(planes[4 * _PLANE + j], zero, ceiling) - clamp(v1, zero, one)
                    d2 = clamp(planes[5 * _PLANE + j], zero, ceiling) - clamp(v2, zero, one)
                    change = fma(LUMA_B, d2, fma(LUMA_G, d1, LUMA_R * d0))
                    share = share_applied(change, strength, shadows, highlights)
                    planes[9 * _PLANE + j] = fma(share, d0, v0)
                    planes[10 * _PLANE + j] = fma(share, d1, v1)
                    planes[11 * _PLANE + j] = fma(share, d2, v2)
            else:
                for j in range(stop - start):
                    t0, t1 = planes[3 * _PLANE + j], planes[4 * _PLANE + j]
                    t = fma(LUMA_B, planes[5 * _PLANE + j], fma(LUMA_G, t1, LUMA_R * t0))
                    change = clamp(t, zero, ceiling) - clamp(planes[j], zero, one)
                    share = share_applied(change, strength, shadows, highlights)
                    planes[9 * _PLANE + j] = fma(share, change, planes[j])
            _encode(planes, source, channels, settings[0], settings[1], target)


@inline
def _places(luma: Any, x: Any) -> Any:
    """How far up each of the hinges a pixel is, 0..1, times 1 and times `x`."""
    z = luma * _f32(LEVELS - 1)
    zero, one = _f32(0), _f32(1)
    h1, h2, h3 = clamp(z, zero, one), clamp(z - _f32(1), zero, one), clamp(z - _f32(2), zero, one)
    h4, h5 = clamp(z - _f32(3), zero, one), clamp(z - _f32(4), zero, one)
    h6, h7 = clamp(z - _f32(5), zero, one), clamp(z - _f32(6), zero, one)
    return h1, h2, h3, h4, h5, h6, h7, x, x * h1, x * h2, x * h3, x * h4, x * h5, x * h6, x * h7


@inline
def _number(hinges: Any, n: Any, size: Any, at: Any) -> Any:
    """Number `n` of a pixel's transform, of `size`."""
    value = fma(at[0], hinges[size + n], hinges[n])
    value = fma(at[1], hinges[2 * size + n], value)
    value = fma(at[2], hinges[3 * size + n], value)
    value = fma(at[3], hinges[4 * size + n], value)
    value = fma(at[4], hinges[5 * size + n], value)
    value = fma(at[5], hinges[6 * size + n], value)
    value = fma(at[6], hinges[7 * size + n], value)
    value = fma(at[7], hinges[8 * size + n], value)
    value = fma(at[8], hinges[9 * size + n], value)
    value = fma(at[9], hinges[10 * size + n], value)
    value = fma(at[10], hinges[11 * size + n], value)
    value = fma(at[11], hinges[12 * size + n], value)
    value = fma(at[12], hinges[13 * size + n], value)
    value = fma(at[13], hinges[14 * size + n], value)
    return fma(at[14], hinges[15 * size + n], value)
