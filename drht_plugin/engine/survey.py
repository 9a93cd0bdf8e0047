"""Whole image → `Scene`: what the two networks say of the image as a whole, decided once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.engine.dequantise import dequantised
from drht_plugin.engine.grid import fit
from drht_plugin.engine.noise import NoiseMeter
from drht_plugin.engine.overview import STRIDE, looked_at, overview
from drht_plugin.engine.pixels import LUMA, kind_of
from drht_plugin.engine.restraint import restrained
from drht_plugin.engine.sampled import sampled
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.seen import seen
from drht_plugin.orientation import require_orientation

FloatArray = npt.NDArray[np.float32]

_WRAP_MARGIN = 64
_ORIGIN_ROWS = 256


def survey(
    image: Any,
    networks: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Scene:
    """Look at the whole image once, as a person would: upright, in sRGB.

    Args:
        image: anything with shape, dtype and row slices, of any step, that give numpy arrays; H×W
            or H×W×C of the contract's dtypes. See `looked_at` for huge files.
        networks: y and T of a display-encoded picture, see `model.runner.Runner`.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones.
        orientation: how the image is stored, as in EXIF, 1 to 8; 1 is upright.
        profile: bytes of an ICC profile, or code points, that say what its codes stand for; None is
            sRGB. Of linear values it gives the primaries.
        wrap: the image is a 360° panorama whose left and right edges meet.
        progress: called with rows done and rows in all.

    Raises:
        InputError: an image or argument outside the contract; NaN or infinity in the image.
    """
    kind = kind_of(image, transfer)
    orientation = require_orientation(orientation, wrap=wrap)
    space = space_of(profile, colours=kind.colours, linear=kind.linear)
    origin = panorama_origin(image, orientation) if wrap else 0
    meter = NoiseMeter(kind.upright(orientation))
    ldr, weight = overview(
        image if wrap else looked_at(image, kind, orientation),
        kind,
        progress,
        meter,
        orientation=orientation,
        origin=origin,
        space=space,
    )
    codes = kind.coarse_codes
    if codes:
        ldr = dequantised(ldr, codes, wrap=wrap)
    shown = seen(ldr, space, colours=kind.colours)
    y, corrected = _asked(networks, shown.codes, wrap=wrap)
    if kind.colours == 1:
        y, corrected = _gray(y), _gray(corrected)
    upright = kind.upright(orientation)
    enlarged = ldr.shape[0] > upright.height or ldr.shape[1] > upright.width
    corrected = restrained(shown.codes, corrected, weight, wrap=wrap, enlarged=enlarged)
    # What is left alone has the picture's own codes, bit for bit.
    alone = np.array_equal(corrected, shown.codes)
    corrected = ldr.copy() if alone else shown.back(corrected)
    y = shown.back_y(y)
    noise = meter.curve()
    for array in (ldr, y, corrected, weight, noise):
        array.flags.writeable = False
    tone = fit(ldr, corrected, weight, gray=kind.colours == 1, wrap=wrap, codes=codes)
    return Scene(kind, wrap, ldr, y, corrected, weight, noise, tone, origin, orientation)


def _asked(
    networks: Callable[[FloatArray], tuple[FloatArray, FloatArray]], ldr: FloatArray, *, wrap: bool
) -> tuple[FloatArray, FloatArray]:
    """Y and T of an overview; of a panorama, with what lies beyond its edges in sight."""
    margin = min(_WRAP_MARGIN, STRIDE * (ldr.shape[1] // STRIDE)) if wrap else 0
    padded = np.pad(ldr, ((0, 0), (margin, margin), (0, 0)), mode="wrap") if margin else ldr
    y, corrected = networks(padded)
    inside = slice(margin, margin + ldr.shape[1])
    y, corrected = y[:, inside].copy(), corrected[:, inside].clip(0, 1)
    return y, corrected


def panorama_origin(image: Any, orientation: int = 1) -> int:
    """A column that goes with the upright picture: shifted round its turn, a panorama keeps it.

    It is where the sums of the columns, read from there, come first among all turns in
    lexicographic order (Booth 1980). Sums are of whole numbers, those that floats have for their
    bits, and so exact in any order.
    """
    height, width = image.shape[:2]
    step = max(1, height // _ORIGIN_ROWS)
    sums = np.zeros(width, np.uint64)
    for window in sampled(image, range(0, height, step), orientation=orientation):
        rows = window.pixels
        if rows.dtype.kind == "f":
            rows = np.ascontiguousarray(rows).view(f"u{rows.itemsize}")
        for row in rows:
            sums += row.sum(-1, dtype=np.uint64)
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


def _gray(picture: FloatArray) -> FloatArray:
    """The luma of a picture, in all three channels."""
    luma = picture @ LUMA
    return np.ascontiguousarray(np.broadcast_to(luma[..., None], picture.shape))
