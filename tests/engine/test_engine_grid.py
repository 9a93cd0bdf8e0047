"""The tone grid against a plain reference in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LUMA, FloatArray, blurred, picture, seeds

from drht_plugin.bridge.sizes import LEVELS
from drht_plugin.bridge.slicing import slice_grid
from drht_plugin.engine.survey.fit_grid import fit_tone_grid
from drht_plugin.engine.tone_grid import ToneGrid

Float = npt.NDArray[np.float64]


def between(plane: Float, y: Float, x: Float, wrap: bool) -> Float:
    """Bilinear samples of plane n×m×… at fractional rows y and columns x, held or periodic."""
    rows, columns = plane.shape[:2]
    y = y.clip(0, rows - 1)
    top = np.floor(y).astype(int)
    fy = (y - top).reshape(-1, 1, *[1] * (plane.ndim - 2))
    lines = plane[top] * (1 - fy) + plane[np.minimum(top + 1, rows - 1)] * fy
    x = x if wrap else x.clip(0, columns - 1)
    left = np.floor(x).astype(int)
    fx = (x - left).reshape(1, -1, *[1] * (plane.ndim - 2))
    right = (left + 1) % columns if wrap else np.minimum(left + 1, columns - 1)
    sampled: Float = lines[:, left % columns] * (1 - fx) + lines[:, right] * fx
    return sampled


def sliced(
    pixels: FloatArray,
    grid: ToneGrid,
    place: tuple[int, int, int, int],
    wrap: bool,
    ceiling: float = np.inf,
    applied: tuple[float, float, float] = (1, 1, 1),
    codes: float = 0,
) -> Float:
    """What the kernels compute, written out: R×C×colours display codes to corrected ones."""
    n = grid.colours
    top, left, height, width = place
    rows, columns = pixels.shape[:2]
    v = (np.arange(rows) + top + 0.5) / height
    u = (np.arange(columns) + left + 0.5) / width
    gy, gx = grid.transforms.shape[:2]
    cells = grid.transforms.astype(np.float64).reshape(gy, gx, LEVELS, n, n + 1)
    cells = between(cells, v * gy - 0.5, u * gx - 0.5, wrap)
    res_h, res_w = grid.sides.shape[:2]
    sides = between(grid.sides.astype(np.float64), v * res_h - 0.5, u * res_w - 0.5, wrap)
    lift, smooth = sides[..., :n], sides[..., n:]
    given = pixels[..., :n].astype(np.float64)
    off = smooth - given
    # Taken for the overview up to half a code from it, and for itself from 0.8 on.
    unsure = ((0.8 - np.abs(off) * codes) / 0.3).clip(0, 1) if codes else 0.0
    inside = (given + unsure * off).clip(0, 1)
    weights = LUMA.astype(np.float64) if n == 3 else np.ones(1)
    z = (inside @ weights).clip(0, 1) * (LEVELS - 1)
    low = np.minimum(np.floor(z).astype(int), LEVELS - 2)[..., None, None, None]
    fz = (z - low[..., 0, 0, 0])[..., None, None]
    near = np.take_along_axis(cells, low, 2)[:, :, 0]
    far = np.take_along_axis(cells, low + 1, 2)[:, :, 0]
    transforms = near * (1 - fz) + far * fz
    features = np.concatenate([inside, np.ones((rows, columns, 1))], -1)
    target = np.einsum("rckf,rcf->rck", transforms, features) + lift
    change = target.clip(0, ceiling) - given.clip(0, 1)
    strength, shadows, highlights = applied
    lifts = ((change @ weights) * 16 + 0.5).clip(0, 1)[..., None]
    share = strength * (highlights + lifts * (shadows - highlights))
    corrected: Float = pixels[..., :n] + share * change
    return corrected


def kernel_slice(
    pixels: FloatArray,
    grid: ToneGrid,
    place: tuple[int, int, int, int],
    wrap: bool,
    ceiling: float = np.inf,
    applied: tuple[float, float, float] = (1, 1, 1),
    codes: float = 0,
) -> FloatArray:
    """The same by the kernels."""
    out = np.empty_like(pixels)
    settings = np.array([1, 0, ceiling, *applied, codes], np.float32)
    slice_grid(pixels, grid.transforms, grid.sides, place, wrap, settings, out)
    return out


@given(
    colours=st.sampled_from([1, 3]),
    alpha=st.booleans(),
    wrap=st.booleans(),
    cells=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    place=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    applied=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    codes=st.sampled_from([0, 5, 255]),
    seed=seeds,
)
def test_kernels_slice_as_the_reference(
    colours: int,
    alpha: bool,
    wrap: bool,
    cells: tuple[int, int],
    place: tuple[int, int],
    applied: tuple[float, float, float],
    codes: float,
    seed: int,
) -> None:
    """`slice_grid` equals the plain reference, and copies alpha."""
    random = np.random.default_rng(seed)
    transforms = random.normal(0, 0.5, (*cells, LEVELS * colours * (colours + 1)))
    sides = random.normal(0, 0.1, (cells[0] + 3, cells[1] + 2, 2 * colours))
    sides[..., colours:] += 0.5
    grid = ToneGrid(transforms.astype(np.float32), sides.astype(np.float32))
    pixels = random.uniform(-0.3, 1.3, (20, 30, colours + alpha)).astype(np.float32)
    where = (*place, 29, 39)
    result = kernel_slice(pixels, grid, where, wrap, 1.0, applied, codes)
    expected = sliced(pixels, grid, where, wrap, 1.0, applied, codes)
    assert np.abs(result[..., :colours] - expected).max() < (1e-4 if codes else 1e-5)
    if alpha:
        assert np.array_equal(result[..., colours], pixels[..., colours])


@given(
    colours=st.sampled_from([1, 3]),
    wrap=st.booleans(),
    cut=st.tuples(st.integers(0, 1200), st.integers(1, 300)),
    row=st.integers(0, 39),
    seed=seeds,
)
def test_wide_rows(colours: int, wrap: bool, cut: tuple[int, int], row: int, seed: int) -> None:
    """Rows longer than what is taken at a time equal the reference, and any part of one the whole.

    Runs between two columns of the grid, parts of rows and vectors begin and end at other pixels
    in the part than in the whole.
    """
    random = np.random.default_rng(seed)
    transforms = random.normal(0, 0.5, (3, 7, LEVELS * colours * (colours + 1)))
    sides = random.normal(0.2, 0.2, (24, 90, 2 * colours))
    grid = ToneGrid(transforms.astype(np.float32), sides.astype(np.float32))
    pixels = random.uniform(-0.3, 1.3, (40, 1237, colours)).astype(np.float32)
    every = (1.0, 1.0, 1.0)
    whole_ = kernel_slice(pixels, grid, whole(pixels), wrap, 1.0, every, 5)
    expected = sliced(pixels, grid, whole(pixels), wrap, 1.0, every, 5)
    assert np.abs(whole_ - expected).max() < 3e-5
    first, last = cut[0], min(sum(cut), 1237)
    place = (row, first, 40, 1237)
    part = kernel_slice(pixels[row:, first:last], grid, place, wrap, 1.0, every, 5)
    assert part.tobytes() == whole_[row:, first:last].tobytes()


@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535)])
@pytest.mark.parametrize("colours", [1, 3])
def test_integers_are_rounded(dtype: str, white: int, colours: int) -> None:
    """Integer results are the reference's, rounded to the nearest code and held to the range."""
    random = np.random.default_rng(5)
    transforms = random.normal(0, 0.6, (3, 4, LEVELS * colours * (colours + 1)))
    grid = ToneGrid(transforms.astype(np.float32), np.zeros((2, 2, 2 * colours), np.float32))
    pixels = random.integers(0, white, (40, 50, colours), endpoint=True).astype(dtype)
    out = np.empty_like(pixels)
    settings = np.array([white, 0.5, 1, 1, 1, 1, 0], np.float32)
    slice_grid(pixels, grid.transforms, grid.sides, (0, 0, 40, 50), False, settings, out)
    wide = (pixels / white).astype(np.float32)
    expected = sliced(wide, grid, (0, 0, 40, 50), False, 1.0) * white
    assert np.abs(out - expected).max() < 0.5 + 1e-5 * white
    assert out.min() == 0
    assert out.max() == white


def fitted(ldr: FloatArray, target: FloatArray, wrap: bool = False, gray: bool = False) -> ToneGrid:
    """The grid of two overviews that count everywhere."""
    return fit_tone_grid(ldr, target, np.ones(ldr.shape[:2], np.float32), gray=gray, wrap=wrap)


def enlarged(ldr: FloatArray) -> FloatArray:
    """A picture of twice the size, with detail that the overview does not show."""
    large = ldr.repeat(2, 0).repeat(2, 1)
    noise = np.random.default_rng(9).normal(0, 0.02, large.shape)
    sum_: FloatArray = (large + noise).clip(0, 1).astype(np.float32)
    return sum_


def whole(picture_: FloatArray) -> tuple[int, int, int, int]:
    """The place of a window that is the image."""
    return (0, 0, *picture_.shape[:2])


@given(st.booleans(), seeds)
def test_identity(wrap: bool, seed: int) -> None:
    """A target equal to the input gives every pixel of a larger picture back, to 1e-4."""
    ldr = picture(128, 160, seed=seed)
    grid = fitted(ldr, ldr, wrap)
    large = enlarged(ldr)
    assert np.abs(kernel_slice(large, grid, whole(large), wrap) - large).max() < 1e-4


@given(seeds)
def test_affine_target(seed: int) -> None:
    """A target that is one affine map of the colours is that map at every pixel, to 0.004."""
    random = np.random.default_rng(seed)
    matrix = 0.6 * np.eye(3) + random.uniform(0, 0.1, (3, 3))
    offset = random.uniform(0, 0.1, 3)

    def mapped(values: FloatArray) -> FloatArray:
        return (values @ matrix.T + offset).astype(np.float32)

    ldr = picture(128, 160, seed=seed)
    grid = fitted(ldr, mapped(ldr))
    large = enlarged(ldr)
    difference = kernel_slice(large, grid, whole(large), False) - mapped(large)
    assert np.abs(difference).max() < 0.004
    assert np.abs(difference).mean() < 4e-4


def test_overview_is_reproduced() -> None:
    """At the overview's own pixels the grid gives its target, whatever it is, to 1e-5."""
    ldr = picture(128, 160)
    target = blurred(picture(128, 160, seed=7), 5)
    for wrap in (False, True):
        grid = fitted(ldr, target, wrap)
        result = kernel_slice(ldr, grid, whole(ldr), wrap)
        assert np.abs(result - target).max() < 1e-5


def test_cells_that_do_not_count() -> None:
    """Where the weight is 0, neither input nor target changes the grid."""
    ldr, target = picture(128, 128), blurred(picture(128, 128, seed=3), 3)
    weight = np.ones((128, 128), np.float32)
    weight[30:90, 20:70] = 0
    grids: list[Any] = []
    for seed in (1, 2):
        ldr[30:90, 20:70], target[30:90, 20:70] = 0.5, picture(60, 50, seed=seed)
        grids.append(fit_tone_grid(ldr, target, weight, gray=False, wrap=False))
    assert np.array_equal(grids[0].transforms, grids[1].transforms)
    assert np.array_equal(grids[0].sides, grids[1].sides)
    assert not grids[0].sides[30:90, 20:70, :3].any()


def test_nothing_counts() -> None:
    """Without a single pixel that counts, the grid is the identity."""
    ldr = picture(128, 128)
    grid = fit_tone_grid(ldr, 1 - ldr, np.zeros((128, 128), np.float32), gray=False, wrap=False)
    assert np.abs(kernel_slice(ldr, grid, whole(ldr), False) - ldr).max() < 1e-5


def test_black_gains_no_colour() -> None:
    """Where there is only noise of one code, transforms are gains: channels hardly mix."""
    random = np.random.default_rng(0)
    ldr = (random.integers(0, 2, (128, 128, 3)) / 255).astype(np.float32)
    target = (0.05 + 0.1 * picture(128, 128, seed=2)).astype(np.float32)
    cells = fitted(ldr, target).transforms.reshape(16, 16, LEVELS, 3, 4)[:, :, 0]
    gains = cells[..., (0, 1, 2), (0, 1, 2)]
    mixed = cells[..., :3] - gains[..., None] * np.eye(3)
    assert gains.min() > 5
    assert np.abs(mixed).max() < 0.35 * gains.mean()


@given(seeds)
def test_gray_grid_is_the_luma_of_the_rgb_grid(seed: int) -> None:
    """On gray input, the gray grid gives the luma of what the RGB grid gives, to 1e-4."""
    gray = picture(128, 160, None, seed=seed)
    ldr = np.repeat(gray[..., None], 3, -1)
    tint = np.array([0.9, 1.0, 0.8], np.float32)
    target = (0.1 + 0.8 * ldr**0.7 * tint).astype(np.float32)
    narrow, wide = fitted(ldr, target, gray=True), fitted(ldr, target)
    large = enlarged(ldr)[..., :1]
    expected = kernel_slice(large.repeat(3, -1), wide, whole(large), False) @ LUMA
    result = kernel_slice(large, narrow, whole(large), False)[..., 0]
    assert np.abs(result - expected).max() < 1e-4


@given(st.integers(1, 15))
def test_wrapped_grid_turns_with_the_picture(turns: int) -> None:
    """With wrap, a picture turned by whole cells has the turned grid: no column is a border."""
    ldr, target = picture(64, 128), blurred(picture(64, 128, seed=7), 4)
    shifted = [np.roll(each, 8 * turns, 1) for each in (ldr, target)]
    for wrap in (True, False):
        grid, turned = fitted(ldr, target, wrap), fitted(shifted[0], shifted[1], wrap)
        difference = np.abs(turned.transforms - np.roll(grid.transforms, turns, 1)).max()
        assert (difference < 1e-3) == wrap
