"""Make the overview: the image, averaged in linear light to the size that the networks see."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import NETWORK_STRIDE
from drht_plugin.colour.spaces import SRGB, ColourSpace
from drht_plugin.engine.kernels import SurveyKernels, numba_kernels
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.source import Reducible, odd_step
from drht_plugin.engine.survey.noise import OVERLAP, NoiseMeter
from drht_plugin.engine.survey.sampling import SampledWindow, read_windows, sampled_rows
from drht_plugin.orientation import upright_size

FloatArray = npt.NDArray[np.float32]

_SIDE = 256
"""Square root of the overview's area in pixels; the networks are trained at this scale."""

_SAMPLES = 5
"""Rows that are read for each overview pixel, at least, where the image has as many.

Reading all rows instead changes the corrected picture by 0.1 to 0.6 of 255 codes in the mean, at
24 megapixels."""

_REDUCED_FROM = 1 << 28
"""Pixels from which a source's smaller copy is surveyed instead, if it has one.

Decoding all of a gigapixel JPEG for the overview takes as long as decoding it for the result."""

_SHORTEST = 128
"""Least height and width of an overview, in pixels."""

_LONGEST = 512
"""Largest height and width of an overview, in pixels."""


def overview_size(height: int, width: int) -> tuple[int, int]:
    """Return the size of an overview: area about 256², multiples of 32, aspect ratio kept.

    The shorter side has at least 128 pixels and the longer one at most 512, so images beyond 4:1
    are squeezed.

    Args:
        height: height of the upright image in pixels.
        width: width of the upright image in pixels.

    Returns:
        Height and width of the overview in pixels.
    """
    aspect = (height / width) ** 0.5
    sides = (_SIDE * aspect, _SIDE / aspect)
    fitted = (
        min(max(NETWORK_STRIDE * round(s / NETWORK_STRIDE), _SHORTEST), _LONGEST) for s in sides
    )
    rows, columns = fitted
    return rows, columns


def row_step(height: int, cells: int) -> int:
    """Return the distance between the rows that the overview reads.

    Args:
        height: rows of the upright image.
        cells: rows of the overview.

    Returns:
        An odd number of rows, at least 1.
    """
    return odd_step(height // (cells * _SAMPLES))


def survey_rows(spec: ImageSpec, orientation: int = 1) -> range:
    """Return the rows of the upright image that a survey reads, if it reads no smaller copy.

    Args:
        spec: the stored image's spec.
        orientation: how the image is stored, 1 to 8 as in EXIF.
    """
    upright = spec.upright(orientation)
    rows, _ = overview_size(upright.height, upright.width)
    return sampled_rows(upright.height, row_step(upright.height, rows))


def survey_copy(image: Any, spec: ImageSpec, orientation: int = 1) -> Any:
    """Return what the survey reads: the image, or a smaller copy of a huge one.

    A copy keeps at least `_SAMPLES` rows and columns for each overview pixel. It was averaged in
    codes rather than in light, so the scene is not bit for bit the one of the full image.

    Args:
        image: sliced by rows; smaller copies come from a `Reducible`.
        spec: the stored image's spec.
        orientation: how the image is stored, 1 to 8 as in EXIF.

    Returns:
        The image or a copy with the same channels and dtype.
    """
    huge = spec.height * spec.width >= _REDUCED_FROM
    if not huge or not isinstance(image, Reducible):
        return image
    upright = spec.upright(orientation)
    rows, columns = overview_size(upright.height, upright.width)
    most = min(upright.height // (rows * _SAMPLES), upright.width // (columns * _SAMPLES))
    smaller = image.reduced(most) if most > 1 else None
    if smaller is None or (smaller.shape[2:], smaller.dtype) != (image.shape[2:], image.dtype):
        return image
    return smaller


def overview(
    image: Any,
    spec: ImageSpec,
    progress: Callable[[int, int], object] | None = None,
    meter: NoiseMeter | None = None,
    *,
    orientation: int = 1,
    origin: int = 0,
    space: ColourSpace = SRGB,
    kernels: SurveyKernels | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Average the upright image in linear light, and weigh the overview's pixels.

    Of a tall image every `row_step`th row of the upright image is read; it stands for the rows
    around it. Pixels whose alpha is 0 do not count.

    Args:
        image: sliced by rows, from top to bottom, once.
        spec: the whole stored image's spec; `image` may be a smaller copy of it.
        progress: called with rows done and rows in all.
        meter: counts the noise in the same rows.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        origin: column of the upright image, a panorama, that becomes column 0.
        space: colour space of the codes.
        kernels: what adds up the light; numba's by default.

    Returns:
        The overview, h×w×3 float32 in 0..1, display-encoded in the image's own colour space (gray
        in all three channels).
        Its weight, h×w float32 in 0..1: the share of pixels that counted.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    light = LightMeter(spec, image.shape, orientation, space, kernels)
    measure(image, light, meter, progress, origin=origin)
    return light.overview()


class LightMeter:
    """Sum of the light of an image's windows, which may come in any order and from any process.

    Args:
        spec: the whole stored image's spec.
        shape: of the stored image that the windows are from, or of a smaller copy of it.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        space: colour space of the codes.
        kernels: what adds up the light; numba's by default.

    Attributes:
        sums: h×w×(colours + 1) int64; see `bridge.statistics.area_average`.
        rows: rows of the upright image that are read.
        orientation: as given.
    """

    def __init__(
        self,
        spec: ImageSpec,
        shape: tuple[int, ...],
        orientation: int = 1,
        space: ColourSpace = SRGB,
        kernels: SurveyKernels | None = None,
    ) -> None:
        self.kernels, self.orientation = kernels or numba_kernels(), orientation
        self._spec, self._space = spec, space
        self._height, self._width = upright_size(int(shape[0]), int(shape[1]), orientation)
        upright = spec.upright(orientation)
        size = overview_size(upright.height, upright.width)
        self.sums = np.zeros((*size, spec.colours + 1), np.int64)
        self._bits = _light_bits(self._height * self._width)
        count = 256 if spec.dtype == np.uint8 else 65536
        self._table = _light_table(count, spec.colours, spec.linear, self._bits, space)
        self._step = row_step(self._height, size[0])
        self.rows = sampled_rows(self._height, self._step)

    def add(self, window: SampledWindow, meter: NoiseMeter | None = None) -> None:
        """Add a window's light.

        Args:
            window: from `sampling.read_windows`.
            meter: counts the noise in it.
        """
        codes, pitch = _codes(window.pixels, self._spec.alpha, self.kernels)
        columns, channels = window.pixels.shape[1:]
        if meter is not None:
            meter.add(
                codes, pitch, columns, left=window.left, width=self._width, rows=len(self.rows)
            )
        new_columns = window.new_columns.stop - window.new_columns.start
        last = codes.size - (columns - window.new_columns.stop) * channels
        self.kernels.area_average(
            codes[window.new_columns.start * channels : last],
            pitch,
            (new_columns, channels, self._spec.alpha),
            self._table,
            (window.first, self._step, self._height),
            (window.left + window.new_columns.start, self._width),
            self.sums,
        )

    def overview(self) -> tuple[FloatArray, FloatArray]:
        """Return the overview and its weight; see `overview`."""
        sums, size = self.sums, self.sums.shape[:2]
        weight = (sums[..., -1] / (self._height * self._width)).astype(np.float32)
        light = sums[..., :-1] / np.maximum(sums[..., -1:] * float(1 << self._bits), 1e-12)
        light = _fill_holes(light, weight)
        coded = self._space.encode(light.clip(0, 1)).astype(np.float32)
        return np.ascontiguousarray(np.broadcast_to(coded, (*size, 3))), weight


def measure(
    image: Any,
    light: LightMeter,
    meter: NoiseMeter | None = None,
    progress: Callable[[int, int], object] | None = None,
    *,
    origin: int = 0,
    span: range | None = None,
) -> None:
    """Add up the light and the noise of an image, or of some of its rows.

    Args:
        image: sliced by rows, from top to bottom, once.
        light: sums up the light.
        meter: counts the noise in the same rows.
        progress: called with rows done and rows in all.
        origin: column of the upright image, a panorama, that becomes column 0.
        span: stored rows to read; None reads them all.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    for window in read_windows(
        image,
        light.rows,
        orientation=light.orientation,
        origin=origin,
        overlap=OVERLAP,
        kernels=light.kernels,
        span=span,
    ):
        light.add(window, meter)
        if progress is not None:
            progress(*window.progress)


def _light_bits(pixels: int) -> int:
    """Return the bits of light for which the sums of an image this large fit in 63 bits."""
    return min(30, 62 - pixels.bit_length())


@lru_cache(maxsize=4)
def _light_table(
    count: int, colours: int, linear: bool, bits: int, space: ColourSpace
) -> npt.NDArray[np.int32]:
    """Return the linear light of the codes 0..count−1 in each colour, where 1.0 is 2^bits."""
    codes = np.linspace(0, 1, count)[:, None].repeat(colours, 1)
    light = codes if linear else space.decode(codes)
    return np.rint(light.clip(0, 1).T * float(1 << bits)).astype(np.int32, order="C")


def _codes(
    rows: npt.NDArray[Any], alpha: int, kernels: SurveyKernels
) -> tuple[npt.NDArray[Any], int]:
    """Return rows as flat codes that index the light table, and the distance between rows."""
    from drht_plugin.bridge.rows import flat_rows

    if rows.dtype.kind == "u":
        return flat_rows(rows)
    height, width, channels = rows.shape
    codes = np.empty((height, width * channels), np.uint16)
    pixels, pitch = flat_rows(rows.astype(np.float32, copy=False))
    kernels.light_codes(pixels, pitch, channels, alpha, codes)
    return flat_rows(codes.reshape(rows.shape))


def _fill_holes(light: npt.NDArray[Any], weight: FloatArray) -> npt.NDArray[Any]:
    """Give overview pixels without weight the mean of their surroundings, coarse to fine."""
    if (weight > 0).all():
        return light
    known = (weight > 0).astype(np.float64)[..., None]
    return _pull_push(light * known, known)


def _pull_push(light: npt.NDArray[Any], known: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Average to half the size until all is known, then fill what is not known from there."""
    rows, columns = light.shape[:2]
    mean = light / np.maximum(known, 1e-12)
    if min(rows, columns) < 2 or (known > 0).all():
        everywhere = light.sum((0, 1)) / max(known.sum(), 1e-12)
        return np.where(known > 0, mean, everywhere)
    # Pad to even sides with cells of no weight, so that every known cell is averaged.
    pads = ((0, rows % 2), (0, columns % 2), (0, 0))
    shape = ((rows + 1) // 2, 2, (columns + 1) // 2, 2, -1)
    coarse_light = np.pad(light, pads).reshape(shape).sum((1, 3))
    coarse_known = np.pad(known, pads).reshape(shape).sum((1, 3))
    coarse = _pull_push(coarse_light, coarse_known).repeat(2, 0).repeat(2, 1)
    return np.where(known > 0, mean, coarse[:rows, :columns])
