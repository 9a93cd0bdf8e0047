"""Whole image → `Scene`: what the two networks say of the image as a whole, decided once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.engine.dequantise import dequantised
from drht_plugin.engine.grid import fit
from drht_plugin.engine.pixels import Kind, kind_of, require_finite
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.source import Reducible

FloatArray = npt.NDArray[np.float32]

_SIDE = 256
"""Square root of the overview's area, the scale that the networks are trained at."""

_SAMPLES = 5
"""Rows of an overview pixel that are taken in, at least, where there are as many. Against all rows
this changes the corrected picture by 0.1 to 0.6 of 255 codes in the mean, at 24 megapixels."""

_REDUCED_FROM = 1 << 28
"""Pixels from which on a smaller copy is looked at, where the source has one: decoding all of a
gigapixel JPEG for the overview takes as long as decoding it for the result."""

_SHORTEST = 128
_LONGEST = 512
_STRIDE = 32
_WRAP_MARGIN = 64
_ORIGIN_ROWS = 256
_BAND_PIXELS = 1 << 22
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

_MOST_GAIN, _MOST_BLACK = 6.0, 0.06
"""T's luma is at most gain · luma of x + black."""

_WHITE_FROM, _LEAST_WHITE = 0.3, 0.6
"""T's luma, at least, where all channels of x are 1; falls to 0 where one is at `_WHITE_FROM`, in
a curve without a step, as a step would draw the outline of what is clipped."""


def survey(
    image: Any,
    networks: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    *,
    transfer: str = "srgb",
    wrap: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Scene:
    """Look at the whole image once.

    Args:
        image: anything with shape, dtype and row slices, of any step, that give numpy arrays; H×W
            or H×W×C of the contract's dtypes. See `looked_at` for huge files.
        networks: y and T of a display-encoded picture, see `model.runner.Runner`.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones.
        wrap: the image is a 360° panorama whose left and right edges meet.
        progress: called with rows done and rows in all.

    Raises:
        InputError: an image outside the contract; NaN or infinity in it.
    """
    kind = kind_of(image, transfer)
    origin = 0
    if wrap:
        origin = panorama_origin(image)
        image = _Turned(image, origin)
    ldr, weight = overview(image if wrap else looked_at(image, kind), kind, progress)
    codes = kind.coarse_codes
    if codes:
        ldr = dequantised(ldr, codes, wrap=wrap)
    margin = min(_WRAP_MARGIN, _STRIDE * (ldr.shape[1] // _STRIDE)) if wrap else 0
    padded = np.pad(ldr, ((0, 0), (margin, margin), (0, 0)), mode="wrap") if margin else ldr
    y, corrected = networks(padded)
    inside = slice(margin, margin + ldr.shape[1])
    y, corrected = y[:, inside].copy(), corrected[:, inside].clip(0, 1)
    if kind.colours == 1:
        y, corrected = _gray(y), _gray(corrected)
    corrected = plausible(ldr, corrected)
    for array in (ldr, y, corrected, weight):
        array.flags.writeable = False
    tone = fit(ldr, corrected, weight, gray=kind.colours == 1, wrap=wrap, codes=codes)
    return Scene(kind, wrap, ldr, y, corrected, weight, tone, origin)


def panorama_origin(image: Any) -> int:
    """A column that goes with the picture: shifted round its turn, a panorama keeps it.

    It is where the sums of the columns, read from there, come first among all turns in
    lexicographic order (Booth 1980). Sums of integers are exact; those of floats are taken in one
    order for every column.
    """
    height = image.shape[0]
    step = max(1, height // _ORIGIN_ROWS)
    band = max(1, _BAND_PIXELS // image.shape[1]) * step
    sums: npt.NDArray[Any] | None = None
    for top in range(0, height, band):
        rows = as_channels(image[top : min(top + band, height) : step])
        wide = np.uint64 if rows.dtype.kind == "u" else np.float64
        part = np.zeros(rows.shape[1], wide)
        for row in rows:
            part += row.astype(wide).sum(-1)
        sums = part if sums is None else sums + part
    assert sums is not None
    return _least_turn(sums.tolist())


def _least_turn(values: list[Any]) -> int:
    """Where the lexicographically least rotation of a sequence begins, in linear time."""
    count = len(values)
    best, other, same = 0, 1, 0
    while best < count and other < count and same < count:
        a, b = values[(best + same) % count], values[(other + same) % count]
        if a == b:
            same += 1
            continue
        if a > b:
            best = max(best + same + 1, other)
            other = best + 1
        else:
            other += same + 1
        same = 0
    return best


def looked_at(image: Any, kind: Kind) -> Any:
    """What the overview is made from: the image, or a smaller copy of a huge one that has such.

    The copy has `_SAMPLES` rows and columns or more to an overview pixel. It is averaged in codes
    rather than in light, so that the scene is not bit for bit that of all pixels.
    """
    huge = kind.height * kind.width >= _REDUCED_FROM
    if not huge or not isinstance(image, Reducible):
        return image
    rows, columns = overview_size(kind.height, kind.width)
    most = min(kind.height // (rows * _SAMPLES), kind.width // (columns * _SAMPLES))
    smaller = image.reduced(most) if most > 1 else None
    return image if smaller is None else smaller


class _Turned:
    """A panorama whose column 0 is column `origin` of the image's."""

    def __init__(self, image: Any, origin: int) -> None:
        self._image, self._origin = image, origin
        self.shape, self.dtype = image.shape, image.dtype

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        return np.roll(np.asarray(self._image[rows]), -self._origin, axis=1)


def overview_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the overview: area about 256², multiples of 32, aspect kept.

    The shorter side has at least 128 pixels and the longer one at most 512, so that beyond 4:1
    the overview is squeezed.
    """
    aspect = (height / width) ** 0.5
    sides = (_SIDE * aspect, _SIDE / aspect)
    fitted = (min(max(_STRIDE * round(s / _STRIDE), _SHORTEST), _LONGEST) for s in sides)
    rows, columns = fitted
    return rows, columns


def row_step(height: int, cells: int) -> int:
    """Rows from one that the overview takes in to the next.

    Odd, as even steps would meet one phase only of what repeats every 2, 4, 8 or 16 rows: colour
    filters, blocks of a JPEG, enlargements.
    """
    step = max(1, height // (cells * _SAMPLES))
    return step - 1 + step % 2


def overview(
    image: Any, kind: Kind, progress: Callable[[int, int], None] | None = None
) -> tuple[FloatArray, FloatArray]:
    """The image averaged in linear light, display-encoded h×w×3, and the weight h×w of its cells.

    Of tall images it reads every `row_step`th row, by the image's own coordinates, in bands of
    `image[first:stop:step]`, once, from top to bottom; a row stands for those around it. Pixels
    whose alpha is 0 do not count. kind: of the whole image, of which `image` may be a smaller copy.
    """
    from drht_plugin.bridge import kernels

    size = overview_size(kind.height, kind.width)
    height, width = image.shape[:2]
    sums = np.zeros((*size, kind.colours + 1))
    table = _light_table(256 if kind.dtype == np.uint8 else 65536, kind.linear)
    step = row_step(height, size[0])
    sampled = range(step // 2, height, step)
    band = max(1, _BAND_PIXELS // width)
    for first in range(0, len(sampled), band):
        part = sampled[first : first + band]
        rows = as_channels(image[part.start : part[-1] + 1 : step])
        require_finite(rows, part.start, step=step)
        codes, pitch = _codes(rows, kind.alpha)
        place = first, step, height, width
        kernels.area_average(codes, pitch, rows.shape[2], kind.alpha, table, place, sums)
        if progress is not None:
            progress(first + len(part), len(sampled))
    area = height * width / (size[0] * size[1])
    weight = (sums[..., -1] / area).astype(np.float32)
    light = sums[..., :-1] / np.maximum(sums[..., -1:], 1e-12)
    light = _fill_holes(light, weight)
    coded = transfer.srgb_encode(light.clip(0, 1)).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(coded, (*size, 3))), weight


def as_channels(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows as R×W×C, without a copy where the channels are there already."""
    rows = np.asarray(rows)
    return rows[..., None] if rows.ndim == 2 else rows


@lru_cache(maxsize=4)
def _light_table(count: int, linear: bool) -> FloatArray:
    """Linear light of codes 0..count−1."""
    codes = np.linspace(0, 1, count)
    return (codes if linear else transfer.srgb_decode(codes)).astype(np.float32)


def _codes(rows: npt.NDArray[Any], alpha: int) -> tuple[npt.NDArray[Any], int]:
    """Rows as codes to look light up by, flat, and the distance from row to row."""
    from drht_plugin.bridge import kernels
    from drht_plugin.bridge.rows import flat_rows

    if rows.dtype.kind == "u":
        return flat_rows(rows)
    height, width, channels = rows.shape
    codes = np.empty((height, width * channels), np.uint16)
    pixels, pitch = flat_rows(rows.astype(np.float32, copy=False))
    kernels.light_codes(pixels, pitch, channels, alpha, codes)
    return flat_rows(codes.reshape(rows.shape))


def _fill_holes(light: npt.NDArray[Any], weight: FloatArray) -> npt.NDArray[Any]:
    """Give cells without pixels the mean of their surroundings, coarse to fine."""
    if (weight > 0).all():
        return light
    known = (weight > 0).astype(np.float64)[..., None]
    return _pull_push(light * known, known)


def _pull_push(light: npt.NDArray[Any], known: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows, columns = light.shape[:2]
    mean = light / np.maximum(known, 1e-12)
    if min(rows, columns) < 2 or (known > 0).all():
        everywhere = light.sum((0, 1)) / max(known.sum(), 1e-12)
        return np.where(known > 0, mean, everywhere)
    # Padded to even sides with what is not known, so that no known cell is left out.
    pads = ((0, rows % 2), (0, columns % 2), (0, 0))
    shape = ((rows + 1) // 2, 2, (columns + 1) // 2, 2, -1)
    coarse_light = np.pad(light, pads).reshape(shape).sum((1, 3))
    coarse_known = np.pad(known, pads).reshape(shape).sum((1, 3))
    coarse = _pull_push(coarse_light, coarse_known).repeat(2, 0).repeat(2, 1)
    return np.where(known > 0, mean, coarse[:rows, :columns])


def plausible(ldr: FloatArray, corrected: FloatArray) -> FloatArray:
    """T, where the input holds nothing, within what the eye takes for shadow and for light.

    Where the input is black or white the networks expect a mean of all that might lie there,
    which shows as a grey veil over shadows and as a grey patch in the sky. So T's luma is at most
    what the input's code can carry, and what the camera saw as white stays light.
    """
    before, after = ldr @ _LUMA, np.maximum(corrected @ _LUMA, 1e-4)
    dark = np.minimum(1, (_MOST_GAIN * before + _MOST_BLACK) / after)
    whiteness = ((ldr.min(-1) - _WHITE_FROM) / (1 - _WHITE_FROM)).clip(0, 1)
    light = np.maximum(1, _LEAST_WHITE * whiteness**2 / after)
    return (corrected * (dark * light)[..., None]).clip(0, 1).astype(np.float32)


def _gray(picture: FloatArray) -> FloatArray:
    """The luma of a picture, in all three channels."""
    luma = picture @ _LUMA
    return np.ascontiguousarray(np.broadcast_to(luma[..., None], picture.shape))
