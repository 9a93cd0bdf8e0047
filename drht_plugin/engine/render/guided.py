"""`Scene` + window → corrected pixels: a pure function, the same for any window and order.

This module is guided detail; `engine.detail` is network detail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.engine.pixels import ImageSpec, as_channels, require_finite, require_out, spec_of
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import FULL, Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.errors import InputError
from drht_plugin.geometry import ORIGIN, Window
from drht_plugin.orientation import to_stored, to_upright, transposes, upright_corner

Image = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

_Y_MAX = transfer.ALPHA * transfer.H_MAX**transfer.GAMMA


def render(
    scene: Scene,
    pixels: Image,
    window: Window = ORIGIN,
    *,
    strength: Strength = FULL,
    out: Image | None = None,
) -> Image:
    """The corrected pixels of one window, in guided detail.

    Each pixel depends on its own value, its place and the scene alone, so no halo is needed. Where
    8-bit codes are lifted, their steps are smoothed (see `bridge.tone.slice_grid`).

    Args:
        scene: the survey of the whole image.
        pixels: R×C or R×C×K input pixels, of the image's dtype and channels.
        window: where they lie.
        strength: how much of the correction is applied.
        out: where the result goes; a new array if absent; may not overlap `pixels`.

    Returns:
        The same shape and dtype as `pixels`.

    Raises:
        InputError: pixels of another kind than the surveyed image, or outside it; NaN or infinity
            in them; an `out` of another shape or dtype, that cannot be written or that shares
            memory with `pixels`.
    """
    spec = scene.spec
    _require_inside(spec, spec_of(pixels), window)
    out = np.empty(pixels.shape, pixels.dtype) if out is None else require_out(pixels, out)
    require_finite(as_channels(pixels), window.top, left=window.left)
    if strength.strength == 0:
        out[...] = pixels
        return out
    _render(scene, as_channels(pixels), window, strength, as_channels(out))
    return out


def _render(scene: Scene, source: Image, window: Window, strength: Strength, target: Image) -> None:
    """`render` of pixels R×C×K that were checked."""
    if scene.orientation != 1:
        source, target = (to_upright(each, scene.orientation) for each in (source, target))
        window, scene = _upright(scene, window, source), scene.upright
    spec = scene.spec
    if _wide(spec):
        display = to_display(source, spec)
        result = np.empty_like(display)
        _slice(scene, scene.tone, display, window, _settings(1.0, 0.0, 1.0, strength), result)
        _from_display(result, source, spec, target)
    else:
        settings = _coded(spec, strength, _smoothed_codes(scene))
        _slice(scene, scene.tone, source, window, settings, target)


def _upright(scene: Scene, window: Window, upright: Image) -> Window:
    """Where a window of the stored image lies in the upright one, given its pixels there."""
    size = upright.shape[:2]
    stored = size[::-1] if transposes(scene.orientation) else size
    whole = scene.spec.height, scene.spec.width
    return Window(*upright_corner((window.top, window.left), stored, whole, scene.orientation))


def tone(scene: Scene, display: FloatArray, window: Window) -> FloatArray:
    """Guided T of display-encoded pixels R×C×colours float32 in 0..1, the same shape.

    scene: of an image that is stored upright.
    """
    result = np.empty_like(display)
    settings = _settings(1.0, 0.0, 1.0, FULL, _smoothed_codes(scene))
    _slice(scene, scene.tone, display, window, settings, result)
    return result


def finish(
    spec: ImageSpec,
    source: Image,
    corrected: FloatArray,
    strength: Strength,
    out: Image,
) -> None:
    """Mix T (R×C×3 float32) with the input by strength, and encode it as the image is.

    source, out: R×C×K of the image's dtype; alpha is copied.
    """
    from drht_plugin.bridge.slicing import finish as encode

    if _wide(spec):
        display = to_display(source, spec)
        result = np.empty_like(display)
        encode(display, corrected, _settings(1.0, 0.0, 1.0, strength), result)
        _from_display(result, source, spec, out)
    else:
        encode(source, corrected, _coded(spec, strength), out)


def _wide(spec: ImageSpec) -> bool:
    """Whether pixels go through display-encoded float32 of their own."""
    return spec.dtype == np.float16 or spec.linear


def render_radiance(
    scene: Scene, pixels: Image, window: Window = ORIGIN, *, grid: ToneGrid
) -> FloatArray:
    """The HDR estimate H of one window: R×C×colours float32, 1.0 = the input's clip point.

    grid: of `survey.tone_grid.radiance_grid`, made once for all windows.

    Raises:
        InputError: as `render`.
    """
    from drht_plugin.bridge import curves

    spec = scene.spec
    _require_inside(spec, spec_of(pixels), window)
    require_finite(as_channels(pixels), window.top, left=window.left)
    source, orientation = to_upright(as_channels(pixels), scene.orientation), scene.orientation
    window, scene = _upright(scene, window, source), scene.upright
    display = to_display(source, spec)[..., : spec.colours].clip(0, 1)
    y = np.empty_like(display)
    _slice(scene, grid, display, window, _settings(1.0, 0.0, _Y_MAX, FULL), y)
    curves.to_radiance(y.reshape(-1), y.reshape(-1))
    return np.ascontiguousarray(to_stored(y, orientation))


def _require_inside(spec: ImageSpec, given: ImageSpec, window: Window) -> None:
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
    applied = [strength.strength, strength.shadows, strength.highlights]
    return np.array([white, rounding, ceiling, *applied, codes], np.float32)


def _coded(spec: ImageSpec, strength: Strength, codes: float = 0.0) -> FloatArray:
    rounding = 0.5 if spec.dtype.kind == "u" else 0.0
    return _settings(spec.white, rounding, 1.0, strength, codes)


def _smoothed_codes(scene: Scene) -> float:
    return scene.spec.coarse_codes if scene.tone.has_slopes else 0.0


def _slice(
    scene: Scene,
    grid: ToneGrid,
    source: Image,
    window: Window,
    settings: FloatArray,
    target: Image,
) -> None:
    from drht_plugin.bridge.slicing import slice_grid

    height, width = scene.spec.height, scene.spec.width
    for first, last, left in _runs(scene, window.left, source.shape[1]):
        place = window.top, left, height, width
        part = source[:, first:last], target[:, first:last]
        slice_grid(part[0], grid.transforms, grid.sides, place, scene.wrap, settings, part[1])


def _runs(scene: Scene, left: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Columns first..last−1 of a window that begins at `left`, and where they begin in the scene.

    A scene counts columns from its origin; where a panorama's count begins again, a run ends.
    """
    first = 0
    while first < count:
        begin = (left + first - scene.origin) % scene.spec.width if scene.wrap else left
        last = min(count, first + scene.spec.width - begin)
        yield first, last, begin
        first = last


def to_display(source: Image, spec: ImageSpec) -> FloatArray:
    """Pixels as display-encoded float32, alpha as it is."""
    from drht_plugin.bridge import curves

    # In the order of rows, whatever the source's: the kernels change it in place, flat.
    wide = source.astype(np.float32, order="C") * np.float32(1 / spec.white)
    if spec.linear:
        curves.encode_srgb(wide.reshape(-1), wide.reshape(-1))
    return wide


def _from_display(display: FloatArray, source: Image, spec: ImageSpec, target: Image) -> None:
    """Display-encoded float32 to the image's own values, alpha from the source."""
    from drht_plugin.bridge import curves

    if spec.linear:
        curves.decode_srgb(display.reshape(-1), display.reshape(-1))
    if spec.dtype.kind == "u":
        np.rint(display * np.float32(spec.white), out=display)
        display.clip(0, spec.white, out=display)
    target[...] = display.astype(spec.dtype)
    if spec.alpha >= 0:
        target[..., spec.alpha] = source[..., spec.alpha]
