"""The tone grid: local affine colour transforms that carry the overview's tone to any pixel.

A bilateral grid (position × luma of the input) of affine transforms from input codes to target
codes, fitted by ridge regression (in the spirit of Chen, Adams, Wadhwa, Hasinoff, "Bilateral
Guided Upsampling", 2016), and what the fit leaves over, as a smooth residual. Where the input
holds next to no colour, near black, the ridge leads each transform back to a plain gain of
luminance, so that noise and code steps are not amplified into colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import LEVELS, NO_SLOPE
from drht_plugin.bridge.transfer import LUMA_WEIGHTS
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.dequantise import slope_mask
from drht_plugin.engine.tone_grid import ToneGrid

_CELL = 8
"""Overview pixels to a grid cell, in both directions."""

_NOISE = 2e-5
"""Ridge: the variance of input codes that is taken for noise, (1.14/255)²."""

_BLACK = 1 / 255
"""Mean code below which a cell holds next to nothing to take a gain from."""

_MAX_GAIN = 8.0
"""Largest gain of codes that is presumed: about 6 EV. More makes speckles of single code steps."""

_FILL = 0.02
"""Weight of the neighbourhood's moments, which fill cells that no pixel falls into."""

_LUMA = np.array(LUMA_WEIGHTS)

_LIFTED = 1.5
"""From which gain on the steps of codes begin to show."""

FloatArray = npt.NDArray[np.float32]


def fit_tone_grid(
    ldr: FloatArray,
    target: FloatArray,
    weight: FloatArray,
    *,
    gray: bool,
    wrap: bool,
    codes: float = 0.0,
) -> ToneGrid:
    """The grid that turns the overview's `ldr` into its `target`.

    Args:
        ldr: h×w×3, display-encoded in 0..1.
        target: h×w×3, display-encoded.
        weight: h×w, 0..1: how far each overview pixel is to be trusted.
        gray: the picture has one channel; the grid then maps gray to the target's luma.
        wrap: columns are periodic, as in a 360° panorama.
        codes: steps of the input's codes from 0 to 1, whose plateaus are slopes; 0 for none.
    """
    from drht_plugin.bridge import statistics

    height, width = ldr.shape[:2]
    shape = (max(1, height // _CELL), max(1, width // _CELL), LEVELS)
    moments = np.zeros((*shape, 22))
    statistics.fit_statistics(ldr, target, weight, wrap, moments)
    transforms = _solve(_smooth(moments, wrap))
    if gray:
        transforms = _to_gray(transforms)
        target = (target @ _LUMA).astype(np.float32)[..., None]
        ldr = ldr[..., :1]
    flat = np.ascontiguousarray(transforms, np.float32).reshape(*shape[:2], -1)
    nothing = np.zeros((1, 1, 2 * target.shape[2]), np.float32)
    fitted = _apply(ldr, ToneGrid(flat, nothing), wrap)
    residual = (target - fitted) * (weight > 0)[..., None]
    sides = np.concatenate([residual, np.full_like(residual, NO_SLOPE)], -1)
    if codes:
        lifted = (target.max(-1) > _LIFTED * ldr.max(-1))[..., None]
        slope = lifted & (slope_mask(ldr, codes, wrap=wrap) > 0)
        np.copyto(sides[..., residual.shape[2] :], ldr, where=slope)
    for array in (flat, sides):
        array.flags.writeable = False
    return ToneGrid(flat, sides)


def radiance_grid(scene: Scene) -> ToneGrid:
    """Return the grid that carries x to y at any pixel, as `Scene.tone` carries it to T."""
    gray = scene.spec.colours == 1
    return fit_tone_grid(scene.ldr, scene.y, scene.weight, gray=gray, wrap=scene.wrap)


def _apply(ldr: FloatArray, grid: ToneGrid, wrap: bool) -> FloatArray:
    from drht_plugin.bridge.slicing import slice_grid

    out = np.empty_like(ldr)
    place = 0, 0, *ldr.shape[:2]
    # No ceiling and full strength: the plain transform.
    settings = np.array([1, 0, np.inf, 1, 1, 1, 0], np.float32)
    slice_grid(ldr, grid.transforms, grid.sides, place, wrap, settings, out)
    return out


def _smooth(moments: npt.NDArray[Any], wrap: bool) -> npt.NDArray[Any]:
    """Neighbouring cells weigh in by a quarter, wider neighbourhoods where cells are empty."""
    near = _blur(_blur(moments, 0, 0.25, False), 1, 0.25, wrap)
    wide = near
    for _ in range(3):
        wide = _blur(_blur(_blur(wide, 0, 0.5, False), 1, 0.5, wrap), 2, 0.5, False)
    mean = wide.sum((0, 1, 2)) / max(wide[..., 9].sum(), 1e-12)
    wide = (wide + 1e-6 * mean) / (wide[..., 9:10] + 1e-6)
    return near + _FILL * wide


def _blur(a: npt.NDArray[Any], axis: int, side: float, wrap: bool) -> npt.NDArray[Any]:
    pads = [(0, 0)] * a.ndim
    pads[axis] = (1, 1)
    padded = np.pad(a, pads, mode="wrap" if wrap else "edge")
    first, last = (
        padded.take(range(a.shape[axis]), axis),
        padded.take(range(2, 2 + a.shape[axis]), axis),
    )
    return a + side * (first + last)


def _solve(moments: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Ridge regression in every cell: moments …×22 to transforms …×3×4."""
    upper = np.triu_indices(4)
    gram = np.empty((*moments.shape[:-1], 4, 4))
    gram[..., upper[0], upper[1]] = moments[..., :10]
    gram[..., upper[1], upper[0]] = moments[..., :10]
    cross = moments[..., 10:].reshape(*moments.shape[:-1], 4, 3)
    # Where no pixel counts, in an image that is all transparent, the ridge alone is left.
    count = np.maximum(gram[..., 3:, 3:], 1e-12)
    light, wanted = gram[..., 3, :3] @ _LUMA, cross[..., 3, :] @ _LUMA
    floor = _BLACK * count[..., 0, 0]
    gain = np.minimum((wanted + floor) / (light + floor), _MAX_GAIN)
    ridge = count * np.diag([_NOISE, _NOISE, _NOISE, 1e-9])
    prior = np.zeros_like(cross)
    prior[..., (0, 1, 2), (0, 1, 2)] = gain[..., None]
    solved = np.linalg.solve(gram + ridge, cross + ridge @ prior)
    return np.swapaxes(solved, -1, -2)


def _to_gray(transforms: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Transforms of (v, v, v) to their luma: …×3×4 to …×1×2."""
    luma = _LUMA @ transforms
    return np.stack([luma[..., :3].sum(-1), luma[..., 3]], -1)[..., None, :]
