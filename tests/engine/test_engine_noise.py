"""The measure of an image's noise, on noise that is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drht_plugin.engine.noise_curve import BINS, DISTANCES, noise_map
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.survey.noise import NoiseMeter
from drht_plugin.engine.survey.overview import overview

LUMA = np.array([0.2126, 0.7152, 0.0722])


def curve_of(image: npt.NDArray[Any], transfer: str = "srgb") -> npt.NDArray[np.float32]:
    """The curve that a survey of the image measures."""
    kind = spec_of(image, transfer)
    meter = NoiseMeter(kind)
    overview(image, kind, meter=meter)
    return meter.curve()


def slope(height: int, width: int) -> npt.NDArray[np.float64]:
    """RGB from black to white across the picture."""
    return np.broadcast_to(np.linspace(0.02, 0.98, width)[None, :, None], (height, width, 3))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@given(sigma=st.floats(0.004, 0.04), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_white_noise_is_measured(dtype: str, sigma: float, seed: int) -> None:
    """Noise of single pixels is found at every level, in every dtype, within a sixth."""
    image = slope(240, 900) + np.random.default_rng(seed).normal(0, sigma, (240, 900, 3))
    white = np.iinfo(dtype).max if dtype[0] == "u" else 1
    image = (image.clip(0, 1) * white).astype(dtype)
    found = curve_of(image)[:, 2:-2]
    true = sigma * np.sqrt((LUMA**2).sum())
    assert np.abs(found / true - 1).max() < 1 / 6


def test_slopes_and_edges_are_no_noise() -> None:
    """A clean picture with edges has a hundredth of the range, or less, at no level."""
    steps = np.kron(np.random.default_rng(1).random((12, 20)), np.ones((20, 20)))
    image = 0.7 * slope(240, 400) + 0.3 * steps[..., None]
    assert curve_of(image.astype(np.float32)).max() < 1e-3


def test_noise_of_shadows_is_told_from_that_of_lights() -> None:
    """The curve follows luma."""
    image = slope(400, 1200)
    sigma = np.where(image < 0.5, 0.03, 0.005)
    noisy = image + np.random.default_rng(0).normal(0, 1, image.shape) * sigma
    found = curve_of(noisy.clip(0, 1).astype(np.float32))
    assert (found[:, 1 : BINS // 2 - 2] > 3 * found[:, BINS // 2 + 2 : -1].max()).all()
    dark, light = np.full((1, 1, 3), 0.2, np.float32), np.full((1, 1, 3), 0.8, np.float32)
    assert (noise_map(dark, found) > 3 * noise_map(light, found)).all()


def test_spread_noise_shows_between_pixels_further_apart() -> None:
    """Noise that reaches over neighbours is smaller between them than two pixels apart."""
    noise = np.random.default_rng(0).normal(0, 0.03, (300, 902))
    spread = 0.5 + (noise[:, :-2] + noise[:, 1:-1] + noise[:, 2:]) / 3
    near, far = curve_of(spread.astype(np.float32))[:, BINS // 2]
    assert far > 1.3 * near


def test_transparent_pixels_do_not_count() -> None:
    """Noise where alpha is 0 is not seen."""
    random = np.random.default_rng(0)
    clean = np.full((100, 400, 1), 128, np.uint8)
    noisy = random.integers(100, 156, (100, 400, 1), np.uint8)
    image = np.concatenate(
        [
            np.concatenate([clean, np.full_like(clean, 255)], -1),
            np.concatenate([noisy, np.zeros_like(clean)], -1),
        ]
    )
    assert curve_of(image).max() < 1e-3
    assert curve_of(image[..., 0]).max() > 1e-2


def test_rows_that_share_memory_count_each() -> None:
    """An array of one row repeated has the curve, and the overview, of its copy."""
    row = np.random.default_rng(0).integers(90, 140, (1, 400, 3), np.uint8)
    image = np.broadcast_to(row, (300, 400, 3))
    assert np.array_equal(curve_of(image), curve_of(image.copy()))
    seen, again = (overview(each, spec_of(each)) for each in (image, image.copy()))
    assert np.array_equal(seen[0], again[0])


def test_tiny_and_flat_images_have_none() -> None:
    """What is too small to measure, or cut off, counts as clean."""
    for image in (np.zeros((1, 1), np.uint8), np.full((50, 3), 9, np.uint8), np.ones((200, 300))):
        curve = curve_of(image.astype(np.uint8))
        assert curve.shape == (DISTANCES, BINS)
        assert curve.max() < 1e-4
