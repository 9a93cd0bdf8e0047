"""Render windows in guided detail: slice the scene's tone grid at every pixel.

Rendering is a pure function of the scene and the pixels, so the result does not depend on the
windows or their order. `render.network` renders network detail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.arguments import whole_number
from drht_plugin.bridge import transfer
from drht_plugin.engine.pixels import (
    ImageSpec,
    as_channels,
    plain_array,
    prepare_out,
    require_finite,
    spec_of,
)
from drht_plugin.engine.scene import Scene, require_scene
from drht_plugin.engine.strength import FULL, Strength, require_strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.engine.touch import Touch, touch_alone, touch_of
from drht_plugin.errors import InputError
from drht_plugin.geometry import ORIGIN, Window
from drht_plugin.orientation import to_stored, to_upright, transposes, upright_corner

Image = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

_COPIED_PIXELS = 1 << 19
"""Pixels that are copied to floats at once for a last touch, which no plan counts."""


def render(
    scene: Scene,
    pixels: Image,
    window: Window = ORIGIN,
    *,
    strength: Strength = FULL,
    out: Image | None = None,
) -> Image:
    """Correct the pixels of one window, in guided detail.

    Each pixel depends only on its own value, its position and the scene, so no halo is needed.
    Where 8-bit codes are lifted, their quantisation steps are smoothed (see
    `bridge.slicing.slice_grid`).

    Args:
        scene: the survey of the whole image.
        pixels: R×C or R×C×K input pixels, with the image's dtype and channels.
        window: position of the pixels in the image.
        strength: how much of the correction is applied.
        out: array for the result; None allocates one. It must not overlap `pixels`.

    Returns:
        The corrected pixels, with the shape and dtype of `pixels`.

    Raises:
        InputError: pixels of another dtype or other channels than the surveyed image, or outside of
            it; NaN or infinity in them; an argument of another type; an `out` that has another
            shape or dtype, is read-only or shares memory with `pixels`.
    """
    require_strength(strength)
    pixels, window = _checked(scene, pixels, window)
    out = prepare_out(pixels, out)
    require_finite(as_channels(pixels), window.top, left=window.left)
    if not_corrected(scene, as_channels(pixels), strength, as_channels(out)):
        return out
    _render(scene, as_channels(pixels), window, strength, as_channels(out))
    return out


def _render(scene: Scene, source: Image, window: Window, strength: Strength, target: Image) -> None:
    """Render checked pixels R×C×K."""
    if scene.orientation != 1:
        source, target = (to_upright(each, scene.orientation) for each in (source, target))
        window, scene = _upright_window(scene, window, source), scene.upright
    touch = touch_of(scene, strength)
    rows = len(source) if touch is None else max(1, _COPIED_PIXELS // source.shape[1])
    for top in range(0, len(source), rows):
        part, place = slice(top, top + rows), Window(window.top + top, window.left)
        _render_upright(scene, source[part], place, strength, touch, target[part])


def _render_upright(
    scene: Scene,
    source: Image,
    window: Window,
    strength: Strength,
    touch: Touch | None,
    target: Image,
) -> None:
    """Render pixels R×C×K of an image that is stored upright."""
    spec, codes = scene.spec, _codes_to_smooth(scene)
    if touch is not None or _needs_float_copy(spec):
        display = to_display(source, spec)
        result = np.empty_like(display)
        settings = _settings(1.0, 0.0, 1.0, strength, codes)
        _slice(scene, scene.tone, display, window, settings, result)
        _from_display(result, source, spec, target, touch)
    else:
        settings = _code_settings(spec, strength, codes)
        _slice(scene, scene.tone, source, window, settings, target)


def not_corrected(scene: Scene, source: Image, strength: Strength, out: Image) -> bool:
    """Write what becomes of pixels at strength 0, where they need no rendering.

    Args:
        scene: the image's scene.
        source: R×C×K pixels of the image's dtype.
        strength: what is done to the image.
        out: R×C×K array of the image's dtype; untouched at another strength.

    Returns:
        Whether the strength is 0.
    """
    if strength.strength != 0:
        return False
    touch = touch_of(scene, strength)
    if touch is None:
        out[...] = source
    else:
        _store(touch_alone(scene.spec, source, touch), source, scene.spec, out, bounded=True)
    return True


def _upright_window(scene: Scene, window: Window, upright: Image) -> Window:
    """Return where a window lies in the upright image, given its upright pixels."""
    size = upright.shape[:2]
    stored = size[::-1] if transposes(scene.orientation) else size
    whole = scene.spec.height, scene.spec.width
    return Window(*upright_corner((window.top, window.left), stored, whole, scene.orientation))


def guided_tone(scene: Scene, display: FloatArray, window: Window) -> FloatArray:
    """Return guided T of display-encoded pixels.

    Args:
        scene: scene of an image that is stored upright.
        display: R×C×colours float32 in 0..1, display-encoded.
        window: position of the pixels in the image.

    Returns:
        R×C×colours float32 in 0..1.
    """
    result = np.empty_like(display)
    settings = _settings(1.0, 0.0, 1.0, FULL, _codes_to_smooth(scene))
    _slice(scene, scene.tone, display, window, settings, result)
    return result


def mix_with_input(
    scene: Scene,
    source: Image,
    corrected: FloatArray,
    strength: Strength,
    out: Image,
) -> None:
    """Mix T with the input by strength, and encode it like the image.

    Args:
        scene: the image's scene.
        source: R×C×K input pixels of the image's dtype.
        corrected: T, R×C×3 float32 in 0..1, display-encoded.
        strength: how much of the correction is applied.
        out: R×C×K array of the image's dtype for the result; alpha is copied.
    """
    from drht_plugin.bridge.slicing import mix_and_encode

    spec, touch = scene.spec, touch_of(scene, strength)
    if touch is not None or _needs_float_copy(spec):
        display = to_display(source, spec)
        result = np.empty_like(display)
        mix_and_encode(display, corrected, _settings(1.0, 0.0, 1.0, strength), result)
        _from_display(result, source, spec, out, touch)
    else:
        mix_and_encode(source, corrected, _code_settings(spec, strength), out)


def _needs_float_copy(spec: ImageSpec) -> bool:
    """Return whether the kernels work on a display-encoded float32 copy of the pixels."""
    return spec.dtype == np.float16 or spec.linear


def render_radiance(
    scene: Scene, pixels: Image, window: Window = ORIGIN, *, grid: ToneGrid
) -> FloatArray:
    """Estimate the HDR radiance H of one window.

    Args:
        scene: the survey of the whole image.
        pixels: R×C or R×C×K input pixels, with the image's dtype and channels.
        window: position of the pixels in the image.
        grid: grid of `survey.fit_grid.radiance_grid`, made once for all windows.

    Returns:
        R×C×colours float32, scene-linear; 1.0 is the radiance at which the input clips.

    Raises:
        InputError: pixels of another dtype or other channels than the surveyed image, or outside of
            it; NaN or infinity in them.
    """
    from drht_plugin.bridge import curves

    pixels, window = _checked(scene, pixels, window)
    spec = scene.spec
    require_finite(as_channels(pixels), window.top, left=window.left)
    source, orientation = to_upright(as_channels(pixels), scene.orientation), scene.orientation
    window, scene = _upright_window(scene, window, source), scene.upright
    display = to_display(source, spec)[..., : spec.colours].clip(0, 1)
    y = np.empty_like(display)
    _slice(scene, grid, display, window, _settings(1.0, 0.0, transfer.Y_MAX, FULL), y)
    curves.to_radiance(y.reshape(-1), y.reshape(-1))
    return np.ascontiguousarray(to_stored(y, orientation))


def _checked(scene: Scene, pixels: Image, window: Window) -> tuple[Image, Window]:
    """Return pixels and their window as numpy's and Python's own types.

    Raises:
        InputError: they are of other types, do not match the surveyed image, or lie outside of it.
    """
    require_scene(scene)
    given, array = spec_of(pixels), plain_array(pixels)
    if array.shape != tuple(pixels.shape):
        raise InputError(f"the pixels are a {type(pixels).__name__}; expected a numpy array")
    corner = [whole_number(getattr(window, side, None)) for side in ("top", "left")]
    if corner[0] is None or corner[1] is None:
        raise InputError(f"the window is {window!r}; expected a Window of whole numbers")
    placed = Window(corner[0], corner[1])
    _require_inside(scene.spec, given, placed)
    return array, placed


def _require_inside(spec: ImageSpec, given: ImageSpec, window: Window) -> None:
    """Refuse pixels that do not match the surveyed image, or lie outside of it."""
    same = (given.dtype, given.colours, given.alpha) == (spec.dtype, spec.colours, spec.alpha)
    if not same:
        raise InputError(f"the window's pixels are {given}; the surveyed image is {spec}")
    inside = (
        0 <= window.top <= spec.height - given.height
        and 0 <= window.left <= spec.width - given.width
    )
    if not inside:
        raise InputError(
            f"a window of {given.height}×{given.width} at {window} is not inside the image of "
            f"{spec.height}×{spec.width}"
        )


def _settings(
    white: float, rounding: float, ceiling: float, strength: Strength, codes: float = 0.0
) -> FloatArray:
    """Return the settings of the kernels, see `bridge.slicing.slice_grid`."""
    applied = [strength.strength, strength.shadows, strength.highlights]
    return np.array([white, rounding, ceiling, *applied, codes], np.float32)


def _code_settings(spec: ImageSpec, strength: Strength, codes: float = 0.0) -> FloatArray:
    """Return the settings for pixels that the kernels take in their own dtype."""
    rounding = 0.5 if spec.dtype.kind == "u" else 0.0
    return _settings(spec.white, rounding, 1.0, strength, codes)


def _codes_to_smooth(scene: Scene) -> float:
    """Return the quantisation steps from 0 to 1 that are smoothed; 0 for none."""
    return scene.spec.coarse_codes if scene.tone.has_slopes else 0.0


def _slice(
    scene: Scene,
    grid: ToneGrid,
    source: Image,
    window: Window,
    settings: FloatArray,
    target: Image,
) -> None:
    """Slice a grid at the pixels of an upright window."""
    from drht_plugin.bridge.slicing import slice_grid

    height, width = scene.spec.height, scene.spec.width
    for first, last, left in _split_at_origin(scene, window.left, source.shape[1]):
        place = window.top, left, height, width
        part = source[:, first:last], target[:, first:last]
        slice_grid(part[0], grid.transforms, grid.sides, place, scene.wrap, settings, part[1])


def _split_at_origin(scene: Scene, left: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Split a window of a panorama where the scene's columns start again.

    A scene counts columns from its origin. Yields the window's columns first..last−1, and the
    scene's column of the first.
    """
    first = 0
    while first < count:
        begin = (left + first - scene.origin) % scene.spec.width if scene.wrap else left
        last = min(count, first + scene.spec.width - begin)
        yield first, last, begin
        first = last


def to_display(source: Image, spec: ImageSpec) -> FloatArray:
    """Convert pixels to display-encoded float32; alpha keeps its values in 0..1.

    Args:
        source: R×C×K pixels of the image's dtype.
        spec: the image's spec.

    Returns:
        R×C×K float32, contiguous, 1.0 = white.
    """
    from drht_plugin.bridge import curves

    # Contiguous whatever the source is, since the kernels change it in place through a flat view.
    wide = source.astype(np.float32, order="C") * np.float32(1 / spec.white)
    if spec.linear:
        curves.encode_srgb(wide.reshape(-1), wide.reshape(-1))
    return wide


def _from_display(
    display: FloatArray, source: Image, spec: ImageSpec, target: Image, touch: Touch | None = None
) -> None:
    """Convert display-encoded float32 to the image's own values, with alpha from the source."""
    from drht_plugin.bridge import curves

    if spec.linear:
        curves.decode_srgb(display.reshape(-1), display.reshape(-1))
    if touch is not None:
        touch.apply(display)
    _store(display, source, spec, target, bounded=touch is not None)


def _store(
    values: FloatArray, source: Image, spec: ImageSpec, target: Image, *, bounded: bool
) -> None:
    """Store values as the image's dtype; `bounded` keeps floats finite, which a gain may not."""
    if spec.dtype.kind == "u":
        np.rint(values * np.float32(spec.white), out=values)
        values.clip(0, spec.white, out=values)
    elif bounded:
        most = np.finfo(spec.dtype).max
        values.clip(-most, most, out=values)
    target[...] = values.astype(spec.dtype)
    if spec.alpha >= 0:
        target[..., spec.alpha] = source[..., spec.alpha]
