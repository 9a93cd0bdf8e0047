"""From input pixels to output pixels: the tone grid sliced at every one, or a given T mixed in.

A row of pixels goes through passes, each of which vectorises: codes to planes of display values;
for coarse codes, the smoothing of steps; the transforms and what is made of them; planes to codes.
A tone grid is linear along x within a run of pixels between two of its columns, and along luma
within each interval between two of its levels. Pixels beside one another are mostly in the same
interval, or in two, so that a stretch of them needs no look-up: its transforms' coefficients are
constants. An interval above a pixel adds 0 to a number of its transform, and one below adds the
whole of it, which is what the number begins with in the next interval: so a pixel is the same bits
whatever stretch it is in, and does not know its window.
The reference formula in plain numpy stands beside the test.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import inline, inline_ir, rows_kernel, share_rows
from drht_plugin.bridge.rows import flat_rows, flat_target, has_plain_rows, read_only
from drht_plugin.bridge.scalars import (
    LUMA_B,
    LUMA_G,
    LUMA_R,
    applied_share,
    clamp,
    fma,
    neighbour_columns,
    neighbour_rows,
)
from drht_plugin.bridge.sizes import LEVELS, NO_SLOPE

Array = npt.NDArray[Any]

_SEGMENT = 512
"""Pixels of a row whose planes stay in the first cache."""

_LANES = 16
"""Pixels are transformed so many at a time; what is too many is overwritten by the next run."""

_PLANE = _SEGMENT + _LANES

_PLANES = 13

_N = tuple(np.int64(n) for n in range(13))
"""Whole numbers that numba does not compile a function anew for, as it does for literals."""

_INTERVALS = LEVELS - 1

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
    transforms, sides = read_only(transforms), read_only(sides)
    columns = pixels.shape[1]
    across = _column_runs(columns, left, width, transforms.shape[1], wrap)
    across_sides = _column_runs(columns, left, width, sides.shape[1], wrap)

    def correct(first: int, last: int) -> None:
        _slice(
            *flat_rows(pixels[first:last]),
            *flat_target(target[first:last]),
            (last - first, *pixels.shape[1:]),
            transforms,
            sides,
            (top + first, height),
            across,
            across_sides,
            settings,
        )

    share_rows(pixels.shape[0], columns, correct)
    if target is not out:
        out[...] = target


@lru_cache(maxsize=16)
def _column_runs(
    columns: int, left: int, width: int, count: int, wrap: bool
) -> tuple[Array, Array]:
    """Runs of a window's pixels between the same columns of a grid of `count`, and their shares.

    left, width: where the window begins in the image, and the image's width.

    Returns:
        runs: n×3 int64, of each the first pixel, the column before it and the column behind it;
        then where the last one ends. shares: of the column behind, of each pixel, float32, and
        some spare ones.
    """
    runs = np.empty((count + 3, 3), np.int64)
    shares = np.zeros(columns + _LANES, np.float32)
    found = _find_runs(columns, left, width, count, wrap, runs, shares)
    return read_only(runs[: found + 1]), read_only(shares)


@rows_kernel
def _find_runs(
    columns: int, left: int, width: int, count: int, wrap: bool, runs: Array, shares: Array
) -> int:
    """`_column_runs`; how many runs there are."""
    found = 0
    before = -1
    for j in range(columns):
        x0, x1, shares[j] = neighbour_columns((j + left + 0.5) / width * count - 0.5, count, wrap)
        if x0 != before:
            runs[found, 0], runs[found, 1], runs[found, 2] = j, x0, x1
            before = x0
            found += 1
    runs[found, 0] = columns
    return found


@rows_kernel
def _slice(
    pixels: Array,
    pitch: int,
    out: Array,
    out_pitch: int,
    shape: tuple[int, int, int],
    transforms: Array,
    sides: Array,
    place: tuple[int, int],
    across: tuple[Array, Array],
    across_sides: tuple[Array, Array],
    settings: Array,
) -> None:
    """`slice_grid` on flat rows, see `rows`; place: top and height; across: see `_column_runs`."""
    top, height = place
    rows, columns, channels = shape
    runs, shares = across
    colours = sides.shape[2] // 2
    codes = settings[6]
    used = 2 * colours if codes > 0 else colours
    step = transforms.shape[2] // LEVELS
    hinges = np.empty((len(runs) - 1, _INTERVALS * 4 * step), np.float32)
    hinge_columns = np.empty(transforms.shape[1:], np.float32)
    planes = np.zeros(_PLANES * _PLANE, np.float32)
    # Two rows of the overview, the even and the odd one of those around.
    expanded = np.empty((2, used, columns), np.float32)
    slopes = np.zeros((2, columns // _SEGMENT + 1), np.bool_)
    held = np.full(2, -1)
    for i in range(rows):
        y = (top + i + 0.5) / height
        _fill_hinges(transforms, y * transforms.shape[0] - 0.5, runs, hinge_columns, hinges)
        high, low, share = neighbour_rows(y * sides.shape[0] - 0.5, sides.shape[0])
        for wanted in range(high, low + 1):
            slot = wanted % 2
            if held[slot] != wanted:
                _interpolate_columns(sides[wanted], across_sides, expanded[slot])
                _find_slopes(expanded[slot, colours:], slopes[slot])
                held[slot] = wanted
        above, below = expanded[high % 2], expanded[low % 2]
        run = 0
        for start in range(0, columns, _SEGMENT):
            stop = min(start + _SEGMENT, columns)
            source = pixels[i * pitch + start * channels : i * pitch + stop * channels]
            target = out[i * out_pitch + start * channels : i * out_pitch + stop * channels]
            _decode(source, channels, _f32(1) / settings[0], planes)
            segment = start // _SEGMENT
            smoothed = slopes[0, segment] or slopes[1, segment]
            for c in range(used if smoothed else colours):
                plane = planes[(3 + c if c < colours else 6 + c - colours) * _PLANE :]
                upper, lower = above[c, start:stop], below[c, start:stop]
                for j in range(stop - start):
                    plane[j] = fma(share, lower[j] - upper[j], upper[j])
            if smoothed:
                _smooth_steps(planes, colours, stop - start, codes)
            else:
                # The same as smoothing where there is no slope.
                for j in range(3 * _PLANE):
                    planes[6 * _PLANE + j] = planes[j]
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


@inline_ir
def _fill_hinges(transforms: Any, position: Any, runs: Any, columns: Any, hinges: Any) -> None:
    """What each run's transforms are made of, at a fractional row of the grid.

    hinges: of each run and interval of luma, the transform where it begins, and how much that
    changes to where it ends; then how these two change from the column before to that behind.
    columns: room for the transform at black and its changes, of every column of the grid.
    """
    high, low, share = neighbour_rows(position, transforms.shape[0])
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
        for n in range(step):
            made[n] = before[n]
            made[2 * step + n] = behind[n] - before[n]
        for k in range(_INTERVALS):
            at = 4 * step * k
            for n in range(step):
                change = before[(k + 1) * step + n]
                made[at + step + n] = change
                made[at + 3 * step + n] = behind[(k + 1) * step + n] - change
            if k < _INTERVALS - 1:
                for n in range(step):
                    made[at + 4 * step + n] = made[at + n] + made[at + step + n]
                    made[at + 6 * step + n] = made[at + 2 * step + n] + made[at + 3 * step + n]


@inline
def _interpolate_columns(row: Any, across: Any, out: Any) -> None:
    """The first planes of an overview's row n×k, at every pixel of the window: planes×columns."""
    runs, shares = across
    for c in range(out.shape[0]):
        plane = out[c]
        for run in range(len(runs) - 1):
            value = row[runs[run, 1], c]
            change = row[runs[run, 2], c] - value
            for j in range(runs[run, 0], runs[run + 1, 0]):
                plane[j] = fma(shares[j], change, value)


@inline
def _find_slopes(overview: Any, found: Any) -> None:
    """Mark the segments of a row that have a slope: k×columns, of the overview or `NO_SLOPE`."""
    for part in range(found.size):
        highest = _f32(NO_SLOPE)
        for c in range(overview.shape[0]):
            plane = overview[c, part * _SEGMENT : (part + 1) * _SEGMENT]
            for j in range(plane.size):
                highest = max(highest, plane[j])
        found[part] = highest > _f32(NO_SLOPE)


def _make_decoder(channels: int, colours: int) -> Any:
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


def _make_encoder(channels: int, colours: int) -> Any:
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


_decode_gray, _decode_gray_alpha = _make_decoder(1, 1), _make_decoder(2, 1)
_decode_rgb, _decode_rgb_alpha = _make_decoder(3, 3), _make_decoder(4, 3)
_encode_gray, _encode_gray_alpha = _make_encoder(1, 1), _make_encoder(2, 1)
_encode_rgb, _encode_rgb_alpha = _make_encoder(3, 3), _make_encoder(4, 3)


@inline_ir
def _decode(source: Any, channels: Any, scale: Any, planes: Any) -> None:
    """Interleaved codes to planes 0 to 2."""
    if channels == 3:
        _decode_rgb(source, scale, planes)
    elif channels == 4:
        _decode_rgb_alpha(source, scale, planes)
    elif channels == 1:
        _decode_gray(source, scale, planes)
    else:
        _decode_gray_alpha(source, scale, planes)


@inline_ir
def _encode(
    planes: Any, source: Any, channels: Any, scale: Any, rounding: Any, target: Any
) -> None:
    """Planes 9 to 11 to interleaved codes, rounded and clamped for integers (rounding 0.5)."""
    least = _f32(0) if rounding > 0 else _f32(-np.inf)
    most = scale if rounding > 0 else _f32(np.inf)
    if channels == 3:
        _encode_rgb(planes, source, scale, rounding, least, most, target)
    elif channels == 4:
        _encode_rgb_alpha(planes, source, scale, rounding, least, most, target)
    elif channels == 1:
        _encode_gray(planes, source, scale, rounding, least, most, target)
    else:
        _encode_gray_alpha(planes, source, scale, rounding, least, most, target)


@inline_ir
def _correct_rgb(hinges: Any, planes: Any, shares: Any, count: Any, settings: Any) -> None:
    """Planes 9 to 11, the result.

    Of planes 0 to 2, display values; 3 to 5, the residual; 6 to 8, what the transforms see.
    """
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        r = clamp(planes[6 * _PLANE + j], zero, one)
        g = clamp(planes[7 * _PLANE + j], zero, one)
        b = clamp(planes[8 * _PLANE + j], zero, one)
        planes[12 * _PLANE + j] = _f32(_INTERVALS) * fma(LUMA_B, b, fma(LUMA_G, g, LUMA_R * r))
    for first in range(0, count, _LANES):
        part, part_shares = planes[first:], shares[first:]
        low, span = _intervals(part[12 * _PLANE :], min(count - first, _LANES))
        table = hinges[4 * 12 * low :]
        if span == 1:
            _rgb_in_one(table, _f32(low), part, part_shares)
        elif span == 2:
            _rgb_in_two(table, _f32(low), part, part_shares)
        else:
            _rgb_in_all(hinges, zero, part, part_shares)
    _mix_rgb(planes, count, settings)


@inline_ir
def _correct_gray(hinges: Any, planes: Any, shares: Any, count: Any, settings: Any) -> None:
    """As `_correct_rgb`, of planes 0, 3 and 6, to 9."""
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        seen = clamp(planes[6 * _PLANE + j], zero, one)
        z, x = _f32(_INTERVALS) * seen, shares[j]
        t = planes[3 * _PLANE + j] + _coefficient(hinges, _N[1], _N[2], z, x)
        planes[9 * _PLANE + j] = fma(_coefficient(hinges, _N[0], _N[2], z, x), seen, t)
    _mix_gray(planes, count, settings)


@inline
def _intervals(places: Any, count: Any) -> Any:
    """The lowest interval of the first pixels' lumas, and how many intervals they reach over.

    places: 0 to _INTERVALS, how far up.
    """
    # Floats from 0 on are in the order of their bits, of which there is a vector's least and most.
    bits = places.view(np.int32)
    least = most = bits[0]
    for j in range(count):
        least, most = min(least, bits[j]), max(most, bits[j])
    low = min(int(np.int32(least).view(np.float32)), _INTERVALS - 1)
    high = min(int(np.int32(most).view(np.float32)), _INTERVALS - 1)
    return low, high - low + 1


def _make_coefficient(intervals: int) -> Any:
    """A function for one number of a pixel's transform, from the constants of so many intervals.

    n, step: which number, of how many. z: how far up from the table's first interval; x: from the
    column before to that behind.
    """

    @inline
    def number(table: Any, n: Any, step: Any, z: Any, x: Any) -> Any:
        value, slope = table[n], table[2 * step + n]
        for k in range(intervals):
            h = clamp(z - _f32(k), _f32(0), _f32(1))
            value = fma(h, table[(4 * k + 1) * step + n], value)
            slope = fma(h, table[(4 * k + 3) * step + n], slope)
        return fma(x, slope, value)

    return number


def _make_rgb_transform(number: Any) -> Any:
    """A function for T of `_LANES` pixels, into planes 9 to 11; see `_correct_rgb`."""

    @inline
    def transform(table: Any, low: Any, planes: Any, shares: Any) -> None:
        zero, one, size = _f32(0), _f32(1), _N[12]
        # Apart, since a loop over more constants is not vectorised, or at a cost; and written out,
        # since through a helper for one colour, pixels in many intervals take four times as long.
        for j in range(_LANES):
            z, x = planes[12 * _PLANE + j] - low, shares[j]
            t = planes[3 * _PLANE + j] + number(table, _N[3], size, z, x)
            t = fma(number(table, _N[0], size, z, x), clamp(planes[6 * _PLANE + j], zero, one), t)
            t = fma(number(table, _N[1], size, z, x), clamp(planes[7 * _PLANE + j], zero, one), t)
            t = fma(number(table, _N[2], size, z, x), clamp(planes[8 * _PLANE + j], zero, one), t)
            planes[9 * _PLANE + j] = t
        for j in range(_LANES):
            z, x = planes[12 * _PLANE + j] - low, shares[j]
            t = planes[4 * _PLANE + j] + number(table, _N[7], size, z, x)
            t = fma(number(table, _N[4], size, z, x), clamp(planes[6 * _PLANE + j], zero, one), t)
            t = fma(number(table, _N[5], size, z, x), clamp(planes[7 * _PLANE + j], zero, one), t)
            t = fma(number(table, _N[6], size, z, x), clamp(planes[8 * _PLANE + j], zero, one), t)
            planes[10 * _PLANE + j] = t
        for j in range(_LANES):
            z, x = planes[12 * _PLANE + j] - low, shares[j]
            t = planes[5 * _PLANE + j] + number(table, _N[11], size, z, x)
            t = fma(number(table, _N[8], size, z, x), clamp(planes[6 * _PLANE + j], zero, one), t)
            t = fma(number(table, _N[9], size, z, x), clamp(planes[7 * _PLANE + j], zero, one), t)
            t = fma(number(table, _N[10], size, z, x), clamp(planes[8 * _PLANE + j], zero, one), t)
            planes[11 * _PLANE + j] = t

    return transform


_coefficient = _make_coefficient(_INTERVALS)
_rgb_in_one, _rgb_in_two = (
    _make_rgb_transform(_make_coefficient(1)),
    _make_rgb_transform(_make_coefficient(2)),
)
_rgb_in_all = _make_rgb_transform(_coefficient)


@inline
def _mix_rgb(planes: Any, count: Any, settings: Any) -> None:
    """Mix T, planes 9 to 11, with planes 0 to 2 by strength, in place."""
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        v0, v1, v2 = planes[j], planes[_PLANE + j], planes[2 * _PLANE + j]
        d0 = clamp(planes[9 * _PLANE + j], zero, ceiling) - clamp(v0, zero, one)
        d1 = clamp(planes[10 * _PLANE + j], zero, ceiling) - clamp(v1, zero, one)
        d2 = clamp(planes[11 * _PLANE + j], zero, ceiling) - clamp(v2, zero, one)
        change = fma(LUMA_B, d2, fma(LUMA_G, d1, LUMA_R * d0))
        share = applied_share(change, strength, shadows, highlights)
        planes[9 * _PLANE + j] = fma(share, d0, v0)
        planes[10 * _PLANE + j] = fma(share, d1, v1)
        planes[11 * _PLANE + j] = fma(share, d2, v2)


@inline
def _mix_gray(planes: Any, count: Any, settings: Any) -> None:
    """As `_mix_rgb`, of planes 9 and 0."""
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        change = clamp(planes[9 * _PLANE + j], zero, ceiling) - clamp(planes[j], zero, one)
        share = applied_share(change, strength, shadows, highlights)
        planes[9 * _PLANE + j] = fma(share, change, planes[j])


@inline
def _smooth_steps(planes: Any, colours: Any, count: Any, codes: Any) -> None:
    """Planes 6 to 8, the overview, to what the transforms are to see of planes 0 to 2.

    A code stands for all light within a step; of that, the overview's is taken.
    """
    zero, one = _f32(0), _f32(1)
    slope = one / (_SURE - _UNSURE)
    for c in range(colours):
        given, seen = planes[c * _PLANE :], planes[(6 + c) * _PLANE :]
        for j in range(count):
            off = seen[j] - given[j]
            unsure = clamp((_SURE - abs(off) * codes) * slope, zero, one)
            seen[j] = fma(unsure, off, given[j])


def mix_and_encode(pixels: Array, corrected: Array, settings: Array, out: Array) -> None:
    """Mix corrected pixels with the input by strength, and encode.

    Args:
        pixels: R×C×K of uint8, uint16 or float32: gray, RGB, and alpha, which is copied.
        corrected: R×C×3 float32, T, of which gray pixels take the luma.
        settings: as of `slice_grid`.
        out: R×C×K of the same dtype; may not overlap `pixels`.
    """
    target = out if has_plain_rows(out) else np.empty(out.shape, out.dtype)

    def encode(first: int, last: int) -> None:
        _mix_and_encode(
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
def _mix_and_encode(
    pixels: Array,
    pitch: int,
    corrected: Array,
    corrected_pitch: int,
    out: Array,
    out_pitch: int,
    shape: tuple[int, int, int],
    settings: Array,
) -> None:
    """`mix_and_encode` on flat rows, see `rows`."""
    rows, columns, channels = shape
    one = _f32(1)
    planes = np.empty(12 * _PLANE, np.float32)
    for i in range(rows):
        for start in range(0, columns, _SEGMENT):
            stop = min(start + _SEGMENT, columns)
            source = pixels[i * pitch + start * channels : i * pitch + stop * channels]
            target = out[i * out_pitch + start * channels : i * out_pitch + stop * channels]
            row = i * corrected_pitch
            _decode(source, channels, one / settings[0], planes)
            _decode_rgb(corrected[row + 3 * start : row + 3 * stop], one, planes[9 * _PLANE :])
            if channels >= 3:
                _mix_rgb(planes, stop - start, settings)
            else:
                for j in range(stop - start):
                    t0, t1 = planes[9 * _PLANE + j], planes[10 * _PLANE + j]
                    t = fma(LUMA_B, planes[11 * _PLANE + j], fma(LUMA_G, t1, LUMA_R * t0))
                    planes[9 * _PLANE + j] = t
                _mix_gray(planes, stop - start, settings)
            _encode(planes, source, channels, settings[0], settings[1], target)
