"""Survey a whole image: overview, networks, rules and tone grid make its `Scene`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import NETWORK_STRIDE
from drht_plugin.colour.spaces import SRGB, ColourSpace, Profile, space_of
from drht_plugin.engine.kernels import SurveyKernels
from drht_plugin.engine.pixels import LUMA, ImageSpec, spec_of
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.dequantise import dequantise
from drht_plugin.engine.survey.fit_grid import fit_tone_grid
from drht_plugin.engine.survey.network_view import to_network_space
from drht_plugin.engine.survey.noise import NoiseMeter
from drht_plugin.engine.survey.overview import LightMeter, measure, survey_copy
from drht_plugin.engine.survey.rules.apply import apply_rules
from drht_plugin.engine.survey.sampling import read_windows
from drht_plugin.orientation import require_orientation

FloatArray = npt.NDArray[np.float32]

Networks = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Function from a display-encoded picture h×w×3 in 0..1, with sides that are multiples of 32, to y
and T of the same shape."""

_WRAP_MARGIN = 64
"""Columns beyond its edges that the networks see of a panorama, in overview pixels."""

_ORIGIN_ROWS = 256
"""Approximate number of rows that a panorama's origin is computed from."""


def survey(
    image: Any,
    networks: Networks,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    progress: Callable[[int, int], object] | None = None,
    kernels: SurveyKernels | None = None,
) -> Scene:
    """Survey the whole image, upright and in sRGB.

    Args:
        image: H×W or H×W×C, of the accepted dtypes: anything with shape, dtype and row slices of
            any step that give numpy arrays. Of a huge file a smaller copy may be read, see
            `survey_copy`.
        networks: gives y and T of a display-encoded picture, see `model.runner.Runner`.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones.
        orientation: how the image is stored, 1 to 8 as in EXIF; 1 is upright.
        profile: colour space of the values: bytes of an ICC profile, or code points. None is sRGB.
            For linear values it gives the primaries.
        wrap: whether the image is a 360° panorama, whose left and right edges meet.
        progress: called with rows done and rows in all.
        kernels: what computes over pixels; numba's by default.

    Returns:
        The image's scene.

    Raises:
        InputError: an image or argument that is not accepted; NaN or infinity in the image.
    """
    spec = spec_of(image, transfer)
    orientation = require_orientation(orientation, wrap=wrap)
    space = space_of(profile, colours=spec.colours, linear=spec.linear)
    origin = panorama_origin(image, orientation, kernels) if wrap else 0
    meter = NoiseMeter(spec.upright(orientation), kernels)
    image = image if wrap else survey_copy(image, spec, orientation)
    light = LightMeter(spec, image.shape, orientation, space, kernels)
    measure(image, light, meter, progress, origin=origin)
    return finish_survey(light, meter, networks, spec, profile=profile, wrap=wrap, origin=origin)


def finish_survey(
    light: LightMeter,
    meter: NoiseMeter,
    networks: Networks,
    spec: ImageSpec,
    *,
    profile: Profile | None = None,
    wrap: bool = False,
    origin: int = 0,
) -> Scene:
    """Make the scene from what was added up over a whole image.

    Args:
        light: the light of all windows.
        meter: their noise.
        networks: see `survey`.
        spec: the stored image's spec.
        profile: see `survey`.
        wrap: whether columns are periodic.
        origin: column of the upright image that the scene's columns are counted from.

    Returns:
        The image's scene.
    """
    space = space_of(profile, colours=spec.colours, linear=spec.linear)
    ldr, weight = light.overview()
    orientation, kernels = light.orientation, light.kernels
    upright = spec.upright(orientation)
    enlarged = ldr.shape[0] > upright.height or ldr.shape[1] > upright.width
    overviews = estimate(ldr, weight, networks, spec, space=space, wrap=wrap, enlarged=enlarged)
    return make_scene(
        overviews,
        meter.curve(),
        spec,
        wrap=wrap,
        origin=origin,
        orientation=orientation,
        profile=None if space == SRGB else profile,
        kernels=kernels,
    )


@dataclass(frozen=True)
class Overviews:
    """What the networks and the rules make of an overview.

    Attributes:
        ldr: x, the input: h×w×3 float32 in 0..1, display-encoded in the image's colour space.
        y: the HDR estimate in the LDR domain, y = α·H^γ: h×w×3 float32.
        corrected: T: h×w×3 float32 in 0..1, display-encoded in the image's colour space.
        weight: share of pixels that counted: h×w float32 in 0..1.
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
    """Run the networks on an overview, and apply the rules to their result.

    Training makes its overviews here too, so that the detail network is trained on what it sees
    later.

    Args:
        ldr: h×w×3 float32 in 0..1, see `overview.overview`.
        weight: h×w float32 in 0..1, see `overview.overview`.
        networks: gives y and T of a display-encoded picture, see `model.runner.Runner`.
        spec: the image's spec.
        space: colour space of the image's codes.
        wrap: whether columns are periodic.
        enlarged: whether the overview is larger than the image.

    Returns:
        The overviews that a scene is made from.
    """
    if spec.coarse_codes:
        ldr = dequantise(ldr, spec.coarse_codes, wrap=wrap)
    view = to_network_space(ldr, space, colours=spec.colours)
    y, corrected = _run_networks(networks, view.codes, wrap=wrap)
    if spec.colours == 1:
        y, corrected = _to_gray(y), _to_gray(corrected)
    corrected = apply_rules(view.codes, corrected, weight, wrap=wrap, enlarged=enlarged)
    # A picture that is left alone keeps its own codes, bit for bit.
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
    profile: Profile | None = None,
    kernels: SurveyKernels | None = None,
) -> Scene:
    """Fit the tone grid and build the scene, which takes over the arrays.

    Args:
        overviews: the upright image's overviews; they become read-only.
        noise: `DISTANCES`×`BINS` float32, see `noise.NoiseMeter.curve`.
        spec: the stored image's spec.
        wrap: whether columns are periodic.
        origin: column of the upright image that the scene's columns are counted from.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        profile: the image's colour space; None is sRGB.
        kernels: what adds up the moments of the tone grid; numba's by default.

    Returns:
        The image's scene.
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
    tone = fit_tone_grid(
        ldr, corrected, weight, gray=gray, wrap=wrap, codes=spec.coarse_codes, kernels=kernels
    )
    wrap = bool(wrap)  # numpy's cannot be stored
    return Scene(spec, wrap, ldr, y, corrected, weight, noise, tone, origin, orientation, profile)


def _run_networks(
    networks: Networks, ldr: FloatArray, *, wrap: bool
) -> tuple[FloatArray, FloatArray]:
    """Return y and T of an overview; a panorama is padded with its other edge first."""
    margin = min(_WRAP_MARGIN, NETWORK_STRIDE * (ldr.shape[1] // NETWORK_STRIDE)) if wrap else 0
    padded = np.pad(ldr, ((0, 0), (margin, margin), (0, 0)), mode="wrap") if margin else ldr
    y, corrected = networks(padded)
    inside = slice(margin, margin + ldr.shape[1])
    y, corrected = y[:, inside].copy(), corrected[:, inside].clip(0, 1)
    return y, corrected


def panorama_origin(image: Any, orientation: int = 1, kernels: SurveyKernels | None = None) -> int:
    """Return a column that moves with the picture when a panorama is rotated.

    Args:
        image: sliced by rows.
        orientation: how the image is stored, 1 to 4 as in EXIF.
        kernels: what looks for NaN and infinity; numba's by default.

    Returns:
        A column of the upright image.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    return origin_of(column_sums(image, orientation, kernels))


def origin_rows(height: int) -> range:
    """Return the rows of the upright image that a panorama's origin is computed from.

    Args:
        height: rows of the image.
    """
    return range(0, height, max(1, height // _ORIGIN_ROWS))


def column_sums(
    image: Any,
    orientation: int = 1,
    kernels: SurveyKernels | None = None,
    span: range | None = None,
) -> npt.NDArray[np.uint64]:
    """Add up the columns of a panorama, in whole numbers: of floats, their bits.

    Args:
        image: sliced by rows.
        orientation: how the image is stored, 1 to 4 as in EXIF.
        kernels: what looks for NaN and infinity; numba's by default.
        span: stored rows to read; None reads them all.

    Returns:
        The sum of each column of the upright image.

    Raises:
        InputError: NaN or infinity in what is read.
    """
    sums = np.zeros(image.shape[1], np.uint64)
    rows = origin_rows(image.shape[0])
    for window in read_windows(image, rows, orientation=orientation, kernels=kernels, span=span):
        pixels = window.pixels
        if pixels.dtype.kind == "f":
            pixels = np.ascontiguousarray(pixels).view(f"u{pixels.itemsize}")
        for row in pixels:
            sums += row.sum(-1, dtype=np.uint64)
    return sums


def origin_of(sums: npt.NDArray[np.uint64]) -> int:
    """Return where the lexicographically least rotation of column sums begins (Booth 1980).

    Args:
        sums: see `column_sums`.
    """
    return _least_rotation(sums.tolist())


def _least_rotation(values: list[Any]) -> int:
    """Return where the lexicographically least rotation of a sequence begins, in linear time."""
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
    """Return the luma of a picture in all three channels."""
    luma = picture @ LUMA
    return np.ascontiguousarray(np.broadcast_to(luma[..., None], picture.shape))
