"""Whole image → `Scene`: what the two networks say of the image as a whole, decided once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.dequantise import dequantised
from drht_plugin.engine.grid import fit
from drht_plugin.engine.noise import NoiseMeter
from drht_plugin.engine.overview import STRIDE, looked_at, overview
from drht_plugin.engine.pixels import LUMA, as_channels, kind_of
from drht_plugin.engine.restraint import restrained
from drht_plugin.engine.scene import Scene

FloatArray = npt.NDArray[np.float32]

_WRAP_MARGIN = 64
_ORIGIN_ROWS = 256
_BAND_PIXELS = 1 << 22


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
    meter = NoiseMeter(kind)
    ldr, weight = overview(image if wrap else looked_at(image, kind), kind, progress, meter)
    codes = kind.coarse_codes
    if codes:
        ldr = dequantised(ldr, codes, wrap=wrap)
    margin = min(_WRAP_MARGIN, STRIDE * (ldr.shape[1] // STRIDE)) if wrap else 0
    padded = np.pad(ldr, ((0, 0), (margin, margin), (0, 0)), mode="wrap") if margin else ldr
    y, corrected = networks(padded)
    inside = slice(margin, margin + ldr.shape[1])
    y, corrected = y[:, inside].copy(), corrected[:, inside].clip(0, 1)
    if kind.colours == 1:
        y, corrected = _gray(y), _gray(corrected)
    enlarged = ldr.shape[0] > kind.height or ldr.shape[1] > kind.width
    corrected = restrained(ldr, corrected, weight, wrap=wrap, enlarged=enlarged)
    noise = meter.curve()
    for array in (ldr, y, corrected, weight, noise):
        array.flags.writeable = False
    tone = fit(ldr, corrected, weight, gray=kind.colours == 1, wrap=wrap, codes=codes)
    return Scene(kind, wrap, ldr, y, corrected, weight, noise, tone, origin)


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


class _Turned:
    """A panorama whose column 0 is column `origin` of the image's."""

    def __init__(self, image: Any, origin: int) -> None:
        self._image, self._origin = image, origin
        self.shape, self.dtype = image.shape, image.dtype

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        return np.roll(np.asarray(self._image[rows]), -self._origin, axis=1)


def _gray(picture: FloatArray) -> FloatArray:
    """The luma of a picture, in all three channels."""
    luma = picture @ LUMA
    return np.ascontiguousarray(np.broadcast_to(luma[..., None], picture.shape))
