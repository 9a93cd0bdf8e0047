"""Kernels from input to output pixels: slice the tone grid, or mix in a given T.

A row of pixels goes through passes, each of which vectorises: decode to planes of display values,
smooth the steps of coarse codes, transform and mix, encode. A tone grid is linear along x between
two of its columns (a *run* of pixels), and linear along luma between two of its levels (an
*interval*). Adjacent pixels mostly lie in the same interval or in two, so that a stretch of them
needs no look-up: the coefficients of its transforms are constants.

A coefficient is a sum over intervals. An interval above the pixel's luma adds 0. One below adds
its whole change, which is what the coefficient starts with in the next interval. So the bits of a
pixel depend neither on its stretch nor on its window. The tests hold the reference formula in plain
numpy. The module is long since the slice is one pass over a row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import inline, inline_ir, kernel, variant
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
from drht_plugin.bridge.sharing import share_rows
from drht_plugin.bridge.sizes import LEVELS, NO_SLOPE, SURE, UNSURE

Array = npt.NDArray[Any]

_SEGMENT = 512
"""Pixels of a row that are processed at once, so that their planes stay in the first-level
cache."""

_LANES = 16
"""Pixels that are transformed at once. Surplus ones are overwritten by the next run."""

_PLANE = _SEGMENT + _LANES
"""Floats of one plane, with room for surplus pixels."""

_PLANES = 13
"""Planes of a segment: 0 to 2 input, 3 to 5 residual, 6 to 8 input with steps smoothed, 9 to 11
result, 12 position along luma."""

_N = tuple(np.int64(n) for n in range(13))
"""Integers as variables, since numba compiles a function anew for each literal."""

_INTERVALS = LEVELS - 1
"""Intervals between the luma levels of a grid."""

_f32 = np.float32

_SURE, _UNSURE = _f32(SURE), _f32(UNSURE)


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

    What lies outside 0..1 in the input is added to the corrected value. Where coarse codes are
    lifted, pixels within half a code of the interpolated overview are replaced by it, which smooths
    the steps.

    Args:
        pixels: R×C×K of uint8, uint16 or float32: gray or RGB, and alpha, which is copied.
        transforms: gy×gx×(LEVELS·n·(n + 1)) float32 for n = 1 or 3 colours: for each level and
            output, the factors of the inputs and an offset.
        sides: h×w×2n float32: the residual of the transforms; then the overview of the input, or
            `NO_SLOPE` where nothing is smoothed.
        place: top and left of the window in the image; height and width of the image.
        wrap: whether columns are periodic.
        settings: seven float32: value of display code 1.0; 0.5 to round to integers, or 0 for
            floats; upper limit of T; strength, shadows, highlights; quantisation steps from 0 to 1
            that are smoothed where they are lifted, or 0 for none.
        out: R×C×K of the same dtype, written to; must not overlap `pixels`.
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
    """Split a window's columns into runs between the same two columns of a grid.

    Args:
        columns: width of the window.
        left: first column of the window in the image.
        width: width of the image.
        count: columns of the grid.
        wrap: whether columns are periodic.

    Returns:
        Runs, n×3 int64: the first pixel, the grid column before it and the one behind it. The last
        entry is where the last run ends.
        Weights of the column behind at each pixel, float32, with surplus ones at the end.
    """
    runs = np.empty((count + 3, 3), np.int64)
    shares = np.zeros(columns + _LANES, np.float32)
    found = _find_runs(columns, left, width, count, wrap, runs, shares)
    return read_only(runs[: found + 1]), read_only(shares)


@kernel
def _find_runs(
    columns: int, left: int, width: int, count: int, wrap: bool, runs: Array, shares: Array
) -> int:
    """Fill `runs` and `shares` of `_column_runs`, and return the number of runs."""
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


@kernel
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
    """Run `slice_grid` on flat rows, see `rows`.

    `place` is the top of the window and the image's height. `across` and `across_sides` are the
    runs and weights of the grid's columns and the overview's, see `_column_runs`.
    """
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
    # The two overview rows around a pixel, one even and one odd.
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
                # Without a slope smoothing changes nothing.
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
    """Prepare the transforms of each run at a fractional row of the grid.

    `hinges` gets for each run and interval the transform at the interval's lower end and its change
    to the upper end, and then how these two change from the grid column before to the one behind.
    `columns` has room for every grid column's transform at black and its changes.
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
    """Interpolate the first planes of an overview's row n×k at every pixel: planes×columns."""
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
    """Mark the segments of a row that contain a slope: where k×columns are not all `NO_SLOPE`."""
    for part in range(found.size):
        highest = _f32(NO_SLOPE)
        for c in range(overview.shape[0]):
            plane = overview[c, part * _SEGMENT : (part + 1) * _SEGMENT]
            for j in range(plane.size):
                highest = max(highest, plane[j])
        found[part] = highest > _f32(NO_SLOPE)


def _make_decoder(channels: int, colours: int) -> Any:
    """Make a function from interleaved codes to planes of display values, without alpha.

    There is one for each layout, since a loop vectorises with a constant stride.
    """

    @inline
    @variant(channels, colours)
    def take(source: Any, scale: Any, planes: Any) -> None:
        for j in range(source.size // channels):
            planes[j] = _f32(source[channels * j]) * scale
            if colours == 3:
                planes[_PLANE + j] = _f32(source[channels * j + 1]) * scale
                planes[2 * _PLANE + j] = _f32(source[channels * j + 2]) * scale

    return take


def _make_encoder(channels: int, colours: int) -> Any:
    """Make a function from planes 9 to 11 to interleaved codes; it copies alpha."""

    @inline
    @variant(channels, colours)
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
    """Decode interleaved codes to planes 0 to 2."""
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
    """Encode planes 9 to 11 to interleaved codes; round and clamp integers (rounding 0.5)."""
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
    """Compute planes 9 to 11, the result, from planes 0 to 8; see `_PLANES`."""
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
    """Compute plane 9, the result, from planes 0, 3 and 6."""
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        seen = clamp(planes[6 * _PLANE + j], zero, one)
        z, x = _f32(_INTERVALS) * seen, shares[j]
        t = planes[3 * _PLANE + j] + _coefficient(hinges, _N[1], _N[2], z, x)
        planes[9 * _PLANE + j] = fma(_coefficient(hinges, _N[0], _N[2], z, x), seen, t)
    _mix_gray(planes, count, settings)


@inline
def _intervals(places: Any, count: Any) -> Any:
    """Return the lowest interval of the first pixels, and how many intervals they span.

    `places` are the pixels' positions along luma, 0.._INTERVALS.
    """
    # Floats from 0 up sort like their bits, and the extremes of integers vectorise.
    bits = places.view(np.int32)
    least = most = bits[0]
    for j in range(count):
        least, most = min(least, bits[j]), max(most, bits[j])
    low = min(int(np.int32(least).view(np.float32)), _INTERVALS - 1)
    high = min(int(np.int32(most).view(np.float32)), _INTERVALS - 1)
    return low, high - low + 1


def _make_coefficient(intervals: int) -> Any:
    """Make a function that evaluates one coefficient of a pixel's transform in this many intervals.

    `n` is the coefficient's number of `step`. `z` is the position along luma from the table's first
    interval. `x` is the weight of the grid column behind.
    """

    @inline
    @variant(intervals)
    def number(table: Any, n: Any, step: Any, z: Any, x: Any) -> Any:
        value, slope = table[n], table[2 * step + n]
        for k in range(intervals):
            h = clamp(z - _f32(k), _f32(0), _f32(1))
            value = fma(h, table[(4 * k + 1) * step + n], value)
            slope = fma(h, table[(4 * k + 3) * step + n], slope)
        return fma(x, slope, value)

    return number


def _make_rgb_transform(intervals: int) -> Any:
    """Make a function that writes T of `_LANES` pixels to planes 9 to 11; see `_correct_rgb`."""
    number = _make_coefficient(intervals)

    @inline
    @variant(intervals)
    def transform(table: Any, low: Any, planes: Any, shares: Any) -> None:
        zero, one, size = _f32(0), _f32(1), _N[12]
        # One loop a colour, since a loop over more constants vectorises badly or not at all. They
        # are written out: with a helper, pixels in many intervals take four times as long.
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
    _make_rgb_transform(1),
    _make_rgb_transform(2),
)
_rgb_in_all = _make_rgb_transform(_INTERVALS)


@inline
def _mix_rgb(planes: Any, count: Any, settings: Any) -> None:
    """Mix T, planes 9 to 11, with the input, planes 0 to 2, by strength; in place."""
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        v0, v1, v2 = planes[j], planes[_PLANE + j], planes[2 * _PLANE + j]
        t0 = clamp(planes[9 * _PLANE + j], zero, ceiling)
        t1 = clamp(planes[10 * _PLANE + j], zero, ceiling)
        t2 = clamp(planes[11 * _PLANE + j], zero, ceiling)
        d0, d1, d2 = t0 - clamp(v0, zero, one), t1 - clamp(v1, zero, one), t2 - clamp(v2, zero, one)
        change = fma(LUMA_B, d2, fma(LUMA_G, d1, LUMA_R * d0))
        luma = fma(LUMA_B, t2, fma(LUMA_G, t1, LUMA_R * t0))
        share = applied_share(change, luma, strength, shadows, highlights)
        planes[9 * _PLANE + j] = fma(share, d0, v0)
        planes[10 * _PLANE + j] = fma(share, d1, v1)
        planes[11 * _PLANE + j] = fma(share, d2, v2)


@inline
def _mix_gray(planes: Any, count: Any, settings: Any) -> None:
    """Mix T, plane 9, with the input, plane 0, by strength; in place."""
    ceiling, strength = settings[2], settings[3]
    shadows, highlights = settings[4], settings[5]
    zero, one = _f32(0), _f32(1)
    for j in range(count):
        tone = clamp(planes[9 * _PLANE + j], zero, ceiling)
        change = tone - clamp(planes[j], zero, one)
        share = applied_share(change, tone, strength, shadows, highlights)
        planes[9 * _PLANE + j] = fma(share, change, planes[j])


@inline
def _smooth_steps(planes: Any, colours: Any, count: Any, codes: Any) -> None:
    """Replace planes 6 to 8, the overview, by the input with its steps smoothed.

    A code stands for all light within one step, so the overview is used where it lies in that step.
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
    """Mix corrected pixels with the input by strength, and encode them.

    Args:
        pixels: R×C×K of uint8, uint16 or float32: gray or RGB, and alpha, which is copied.
        corrected: R×C×3 float32, T; gray pixels take its luma.
        settings: see `slice_grid`.
        out: R×C×K of the same dtype, written to; must not overlap `pixels`.
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


@kernel
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
    """Run `mix_and_encode` on flat rows, see `rows`."""
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
