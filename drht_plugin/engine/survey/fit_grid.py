"""Fit the tone grid: local affine colour transforms that carry the overview's tone to any pixel.

The grid is a bilateral grid (position × luma of the input) of affine transforms from input codes to
target codes, fitted by ridge regression (in the spirit of Chen, Adams, Wadhwa, Hasinoff, "Bilateral
Guided Upsampling", 2016). What the fit leaves over is stored as a smooth residual. Near black the
input holds hardly any colour. There the ridge pulls each transform towards a plain gain of luma, so
that noise and code steps are not amplified into colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import LEVELS, NO_SLOPE
from drht_plugin.bridge.transfer import LUMA_WEIGHTS
from drht_plugin.engine.kernels import SurveyKernels, numba_kernels
from drht_plugin.engine.pixels import LUMA
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.dequantise import slope_mask
from drht_plugin.engine.tone_grid import ToneGrid

_CELL = 8
"""Side of a grid cell in overview pixels."""

_NOISE = 2e-5
"""Strength of the ridge: variance of input codes that counts as noise, (1.14/255)²."""

_BLACK = 1 / 255
"""Mean code below which a cell is too dark to take a gain from."""

_MAX_GAIN = 8.0
"""Largest gain of codes that the ridge pulls towards, about 6 EV; more makes speckles of code
steps."""

_FILL = 0.02
"""Weight of the wider neighbourhood's moments, which fill cells without pixels."""

_LUMA = np.array(LUMA_WEIGHTS)

_LIFTED = 1.5
"""Gain of codes above which their steps begin to show."""

FloatArray = npt.NDArray[np.float32]


def fit_tone_grid(
    ldr: FloatArray,
    target: FloatArray,
    weight: FloatArray,
    *,
    gray: bool,
    wrap: bool,
    codes: float = 0.0,
    kernels: SurveyKernels | None = None,
) -> ToneGrid:
    """Fit the grid that turns an overview's input into its target.

    Args:
        ldr: h×w×3 float32 in 0..1, display-encoded.
        target: h×w×3 float32, display-encoded.
        weight: h×w float32 in 0..1, how much each overview pixel counts.
        gray: whether the picture has one channel; the grid then maps gray to the target's luma.
        wrap: whether columns are periodic, as in a 360° panorama.
        codes: quantisation steps of the input from 0 to 1 that are smoothed where they are lifted;
            0 for none.
        kernels: what adds up the moments; numba's by default.

    Returns:
        The grid; its arrays are read-only.
    """
    height, width = ldr.shape[:2]
    shape = (max(1, height // _CELL), max(1, width // _CELL), LEVELS)
    moments = np.zeros((*shape, 22))
    (kernels or numba_kernels()).fit_statistics(ldr, target, weight, wrap, moments)
    transforms = _solve(_smooth(moments, wrap))
    if gray:
        transforms = _to_gray(transforms)
        target = (target @ _LUMA).astype(np.float32)[..., None]
        ldr = ldr[..., :1]
    flat = np.ascontiguousarray(transforms, np.float32).reshape(*shape[:2], -1)
    fitted = _apply(ldr, flat, wrap)
    residual = (target - fitted) * (weight > 0)[..., None]
    sides = np.concatenate([residual, np.full_like(residual, NO_SLOPE)], -1)
    if codes:
        lifted = (target.max(-1) > _LIFTED * ldr.max(-1))[..., None]
        slope = lifted & (slope_mask(ldr, codes, wrap=wrap) > 0)
        np.copyto(sides[..., residual.shape[2] :], ldr, where=slope)
    for array in (flat, sides):
        array.flags.writeable = False
    return ToneGrid(flat, sides)


def radiance_grid(scene: Scene, kernels: SurveyKernels | None = None) -> ToneGrid:
    """Fit the grid that turns x into y at any pixel, as `Scene.tone` turns x into T.

    Args:
        scene: the image's scene.
        kernels: what adds up the moments; numba's by default.

    Returns:
        The grid of the HDR estimate.
    """
    gray = scene.spec.colours == 1
    return fit_tone_grid(
        scene.ldr, scene.y, scene.weight, gray=gray, wrap=scene.wrap, kernels=kernels
    )


def _apply(ldr: FloatArray, transforms: FloatArray, wrap: bool) -> FloatArray:
    """Return what the transforms make of the overview itself, h×w×n float32.

    In numpy, since a kernel that is compiled for this alone costs a first call seconds.
    """
    height, width, n = ldr.shape
    rows = _neighbours(np.arange(height), height, transforms.shape[0], False)
    columns = _neighbours(np.arange(width), width, transforms.shape[1], wrap)
    seen = ldr.clip(0, 1)
    luma = (seen @ LUMA if n == 3 else seen[..., 0]) * (LEVELS - 1)
    levels = luma.astype(np.int64).clip(max=LEVELS - 2)
    grid = transforms.reshape(*transforms.shape[:2], LEVELS, n, n + 1)
    numbers = np.zeros((height, width, n, n + 1), np.float32)
    for row, row_share in rows:
        for column, column_share in columns:
            place = row_share[:, None] * column_share
            for level, share in ((levels, 1 - (luma - levels)), (levels + 1, luma - levels)):
                cells = grid[row[:, None], column[None, :], level]
                numbers += (place * share).astype(np.float32)[..., None, None] * cells
    return (numbers[..., :n] @ seen[..., None])[..., 0] + numbers[..., n]


def _neighbours(
    positions: npt.NDArray[np.int64], length: int, count: int, wrap: bool
) -> tuple[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]], ...]:
    """Return the cells on both sides of pixels of an axis, with their shares."""
    at = (positions + 0.5) / length * count - 0.5
    if not wrap:
        at = at.clip(0, count - 1)
    low = np.floor(at).astype(np.int64)
    high = (low + 1) % count if wrap else np.minimum(low + 1, count - 1)
    return (low % count, 1 - (at - low)), (high, at - low)


def _smooth(moments: npt.NDArray[Any], wrap: bool) -> npt.NDArray[Any]:
    """Blur the moments over neighbouring cells, more widely where cells are empty."""
    near = _blur(_blur(moments, 0, 0.25, False), 1, 0.25, wrap)
    wide = near
    for _ in range(3):
        wide = _blur(_blur(_blur(wide, 0, 0.5, False), 1, 0.5, wrap), 2, 0.5, False)
    mean = wide.sum((0, 1, 2)) / max(wide[..., 9].sum(), 1e-12)
    wide = (wide + 1e-6 * mean) / (wide[..., 9:10] + 1e-6)
    return near + _FILL * wide


def _blur(a: npt.NDArray[Any], axis: int, side: float, wrap: bool) -> npt.NDArray[Any]:
    """Add `side` times both neighbours along an axis."""
    pads = [(0, 0)] * a.ndim
    pads[axis] = (1, 1)
    padded = np.pad(a, pads, mode="wrap" if wrap else "edge")
    first, last = (
        padded.take(range(a.shape[axis]), axis),
        padded.take(range(2, 2 + a.shape[axis]), axis),
    )
    return a + side * (first + last)


def _solve(moments: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Solve the ridge regression in every cell: moments …×22 to transforms …×3×4."""
    upper = np.triu_indices(4)
    gram = np.empty((*moments.shape[:-1], 4, 4))
    gram[..., upper[0], upper[1]] = moments[..., :10]
    gram[..., upper[1], upper[0]] = moments[..., :10]
    cross = moments[..., 10:].reshape(*moments.shape[:-1], 4, 3)
    # In a cell where no pixel counts only the ridge is left.
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
    """Reduce transforms to the luma of gray pixels (v, v, v): …×3×4 to …×1×2."""
    luma = _LUMA @ transforms
    return np.stack([luma[..., :3].sum(-1), luma[..., 3]], -1)[..., None, :]
