"""Mixing a given T into pixels, against the formula."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import LUMA, display, picture, seeds

from drht_plugin.bridge.slicing import mix_and_encode


@given(
    st.sampled_from([1, 2, 3, 4]),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.tuples(st.floats(0, 2), st.floats(0, 1), st.floats(0, 1)),
    st.tuples(st.integers(0, 600), st.integers(1, 100)),
    seeds,
)
def test_finish(
    channels: int,
    dtype: str,
    applied: tuple[float, float, float],
    cut: tuple[int, int],
    seed: int,
) -> None:
    """The mix is the formula's, rounded for integers; alpha is copied; any part is the whole's."""
    white = np.iinfo(dtype).max if dtype[0] == "u" else 1
    span = (0.0, 1.0) if dtype[0] == "u" else (-0.2, 1.4)
    pixels = picture(5, 601, channels, dtype, seed, span)
    corrected = np.random.default_rng(seed).uniform(-0.2, 1.2, (5, 601, 3)).astype(np.float32)
    settings = np.array([white, 0.5 if dtype[0] == "u" else 0, 1, *applied], np.float32)
    out = np.empty_like(pixels)
    mix_and_encode(pixels, corrected, settings, out)

    colours = 3 if channels >= 3 else 1
    x, weights = display(pixels)[..., :colours], LUMA.astype(np.float64)
    target = corrected.astype(np.float64)
    if colours == 1:
        target, weights = (target @ weights)[..., None], np.ones(1)
    change = target.clip(0, 1) - x.clip(0, 1)
    strength, shadows, highlights = applied
    lifts = ((change @ weights) * 16 + 0.5).clip(0, 1)[..., None]
    luma = (target.clip(0, 1) @ weights)[..., None]
    room = lifts * (1 - luma) + (1 - lifts) * luma
    share = min(strength, 1) + max(strength - 1, 0) * room
    expected = x + share * (highlights + lifts * (shadows - highlights)) * change
    if dtype[0] == "u":
        error = np.abs(out[..., :colours] - expected.clip(0, 1) * white).max()
        assert error < 0.5 + 1e-5 * white
    else:
        assert np.abs(out[..., :colours] - expected).max() < 1e-5
    if channels in (2, 4):
        assert np.array_equal(out[..., -1], pixels[..., -1])
    first, last = min(cut[0], 600), min(sum(cut), 601)
    part = np.empty_like(pixels[:, first:last])
    mix_and_encode(pixels[:, first:last], corrected[:, first:last], settings, part)
    assert part.tobytes() == out[:, first:last].tobytes()
