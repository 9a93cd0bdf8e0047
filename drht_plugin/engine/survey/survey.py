"""Whole image → `Scene`: what the two networks say of the image as a whole, decided once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import NETWORK_STRIDE
from drht_plugin.colour.spaces import SRGB, ColourSpace, Profile, space_of
from drht_plugin.engine.pixels import LUMA, ImageSpec, spec_of
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.dequantise import dequantise
from drht_plugin.engine.survey.noise import NoiseMeter
from drht_plugin.engine.survey.overview import overview, survey_copy
from drht_plugin.engine.survey.rules.restraint import apply_rules
from drht_plugin.engine.survey.sampled import read_windows
from drht_plugin.engine.survey.seen import to_network_space
from drht_plugin.engine.survey.tone_grid import fit_tone_grid
from drht_plugin.orientation import require_orientation

FloatArray = npt.NDArray[np.float32]

Networks = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""y and T of a display-encoded picture h×w×3 in 0..1, whose sides are multiples of 32."""

_WRAP_MARGIN = 64
_ORIGIN_ROWS = 256


def survey(
    image: Any,
    networks: Networks,
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
            or H×W×C of the contract's dtypes. See `survey_copy` for huge files.
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
    spec = spec_of(image, transfer)
    orientation = require_orientation(orientation, wrap=wrap)
    space = space_of(profile, colours=spec.colours, linear=spec.linear)
    origin = panorama_origin(image, orientation) if wrap else 0
    meter = NoiseMeter(spec.upright(orientation))
    ldr, weight = overview(
        image if wrap else survey_copy(image, spec, orientation),
        spec,
        progress,
        meter,
        orientation=orientation,
        origin=origin,
        space=space,
    )
    upright = spec.upright(orientation)
    enlarged = ldr.shape[0] > upright.height or ldr.shape[1] > upright.width
    overviews = estimate(ldr, weight, networks, spec, space=space, wrap=wrap, enlarged=enlarged)
    return make_scene(
        overviews, meter.curve(), spec, wrap=wrap, origin=origin, orientation=orientation
    )


@dataclass(frozen=True)
class Overviews:
    """What the networks and the rules make of an overview, each h×w×3 float32.

    Attributes:
        ldr: x, the input, display-encoded in 0..1 in the image's own colour space.
        y: the HDR estimate in the LDR domain, y = α·H^γ.
        corrected: T, display-encoded in 0..1.
        weight: h×w, the share of pixels that counted, 0..1.
    """

    ldr: FloatArray
    y: FloatArray
    corrected: FloatArray
    weight: FloatArray


def estimate(
    ldr: FloatArray,
    weight: FloatArray,
    networks: Networks,
    spec: ImageSpec,
    *,
    space: ColourSpace = SRGB,
    wrap: bool = False,
    enlarged: bool = False,
) -> Overviews:
    """Run the networks on an overview, and apply the rules to what they give.

    Training takes its overviews from here too, so that the detail network sees what it is
    trained on.

    Args:
        ldr, weight: see `overview.overview`.
        networks: y and T of a display-encoded picture, see `model.runner.Runner`.
        spec: of the image.
        space: whose light its codes stand for.
        wrap: columns are periodic.
        enlarged: the overview is larger than the image.
    """
    if spec.coarse_codes:
        ldr = dequantise(ldr, spec.coarse_codes, wrap=wrap)
    view = to_network_space(ldr, space, colours=spec.colours)
    y, corrected = _run_networks(networks, view.codes, wrap=wrap)
    if spec.colours == 1:
        y, corrected = _to_gray(y), _to_gray(corrected)
    corrected = apply_rules(view.codes, corrected, weight, wrap=wrap, enlarged=enlarged)
    # What is left alone has the picture's own codes, bit for bit.
    alone = np.array_equal(corrected, view.codes)
    corrected = ldr.copy() if alone else view.restore(corrected)
    return Overviews(ldr, view.restore_y(y), corrected, weight)


def make_scene(
    overviews: Overviews,
    noise: FloatArray,
    spec: ImageSpec,
    *,
    wrap: bool = False,
    origin: int = 0,
    orientation: int = 1,
) -> Scene:
    """Fit the tone grid and put the scene together; it takes over the arrays.

    Args:
        overviews: of the upright image.
        noise: see `noise.NoiseMeter.curve`.
        spec, wrap, origin, orientation: see `Scene`.
    """
    ldr, y, corrected, weight = (
        overviews.ldr,
        overviews.y,
        overviews.corrected,
        overviews.weight,
    )
    for array in (ldr, y, corrected, weight, noise):
        array.flags.writeable = False
    gray = spec.colours == 1
    tone = fit_tone_grid(ldr, corrected, weight, gray=gray, wrap=wrap, codes=spec.coarse_codes)
    return Scene(spec, wrap, ldr, y, corrected, weight, noise, tone, origin, orientation)


def _run_networks(
    networks: Networks, ldr: FloatArray, *, wrap: bool
) -> tuple[FloatArray, FloatArray]:
    """Y and T of an overview; of a panorama, with what lies beyond its edges in sight."""
    margin = min(_WRAP_MARGIN, NETWORK_STRIDE * (ldr.shape[1] // NETWORK_STRIDE)) if wrap else 0
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
    for window in read_windows(image, range(0, height, step), orientation=orientation):
        rows = window.pixels
        if rows.dtype.kind == "f":
            rows = np.ascontiguousarray(rows).view(f"u{rows.itemsize}")
        for row in rows:
            sums += row.sum(-1, dtype=np.uint64)
    return _least_rotation(sums.tolist())


def _least_rotation(values: list[Any]) -> int:
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


def _to_gray(picture: FloatArray) -> FloatArray:
    """The luma of a picture, in all three channels."""
    luma = picture @ LUMA
    return np.ascontiguousarray(np.broadcast_to(luma[..., None], picture.shape))
