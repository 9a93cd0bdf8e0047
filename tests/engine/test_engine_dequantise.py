"""Steps of coarse codes, smoothed where they are slopes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import FloatArray, seeds

from drht_plugin import Corrector
from drht_plugin.engine.survey.dequantise import dequantise, slope_mask

CODES = 255.0


def stepped(light: npt.NDArray[Any]) -> FloatArray:
    """Display values as codes of 8 bits have them."""
    return (np.rint(light * CODES) / CODES).astype(np.float32)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 60), st.sampled_from([1, 3])),
    st.booleans(),
    st.floats(0, 0.2),
    seeds,
)
def test_within_half_a_step(
    shape: tuple[int, int, int], wrap: bool, contrast: float, seed: int
) -> None:
    """Any picture stays within half a step of itself, and in 0..1."""
    random = np.random.default_rng(seed)
    picture = (0.05 + contrast * (random.random(shape) - 0.5)).clip(0, 1).astype(np.float32)
    result = dequantise(picture, CODES, wrap=wrap)
    assert np.abs(result - picture).max() <= 0.5 / CODES + 1e-6
    assert 0 <= result.min() <= result.max() <= 1


def test_a_ramp_comes_back() -> None:
    """Of a ramp of 16 codes over 512 pixels, the steps are gone and the slope is left."""
    ramp = np.broadcast_to(np.linspace(4, 20, 512)[None, :, None], (64, 512, 3)) / CODES
    result = dequantise(stepped(ramp), CODES, wrap=False)
    assert np.abs(np.diff(result, axis=1)).max() < 0.1 / CODES
    middle = (result - ramp)[:, 32:-32]
    assert np.abs(middle).mean() < 0.05 / CODES


def test_texture_is_left_alone() -> None:
    """Texture of one code is no slope and comes through bit for bit; so do edges beside slopes."""
    texture = stepped(np.random.default_rng(0).integers(8, 11, (64, 64, 3)) / CODES)
    assert dequantise(texture, CODES, wrap=False).tobytes() == texture.tobytes()
    edge = stepped(np.full((64, 64, 3), 9 / CODES))
    edge[:, 32:] = 0.5
    assert not slope_mask(edge, CODES, wrap=False)[:, 30:34].any()
    assert np.array_equal(dequantise(edge, CODES, wrap=False), edge)


@given(st.integers(1, 63), seeds)
def test_a_turned_panorama(turn: int, seed: int) -> None:
    """With wrap, the slopes of a turned panorama are the turned slopes."""
    angle = 2 * np.pi * np.arange(64) / 64
    height = np.random.default_rng(seed).uniform(2, 4)
    wave = np.broadcast_to((8 + height * np.sin(angle))[None, :, None], (32, 64, 1)) / CODES
    picture = stepped(wave.repeat(2, 0).repeat(2, 1))
    once = dequantise(picture, CODES, wrap=True)
    turned = dequantise(np.roll(picture, turn, 1), CODES, wrap=True)
    assert np.allclose(np.roll(once, turn, 1), turned, atol=1e-6)
    assert not np.array_equal(once, picture)


@pytest.mark.parametrize("detail", ["guided", "network"])
def test_a_lifted_ramp_has_no_bands(detail: str) -> None:
    """A dark 8-bit ramp of 9 codes is lifted to four times as many and more, by steps of a few."""
    ramp = np.rint(np.linspace(2, 10, 1536)).astype(np.uint8)
    image = np.broadcast_to(ramp[None, :, None], (512, 1536, 3))
    row = Corrector().correct(image, detail=detail)[256, :, 1].astype(int)
    assert np.unique(row).size >= 4 * np.unique(ramp).size
    assert np.abs(np.diff(row)).max() <= 3
