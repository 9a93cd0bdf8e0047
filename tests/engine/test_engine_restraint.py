"""What T may be, whatever the networks say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import picture, seeds

from drht_plugin.engine.survey.rules.restraint import anchor_mean_luma, brighten_clipped

Float = npt.NDArray[np.float32]
LUMA = np.array([0.2126, 0.7152, 0.0722])


def toned(seed: int, power: float = 1.0) -> Float:
    """A picture in 0..1 of a smooth and a rough part."""
    made: Float = picture(48, 64, 3, "float32", seed, (0.02, 0.98)) ** np.float32(power)
    return made


def everywhere(value: float, height: int = 48, width: int = 64) -> Float:
    return np.full((height, width), value, np.float32)


def stops(before: Float, after: Float) -> float:
    """From one mean luma to the other, in EV of a gamma of 2.2."""
    means = [float((p.astype(float) @ LUMA).mean()) for p in (before, after)]
    return float(2.2 * np.log2(means[1] / means[0]))


@given(seeds, st.floats(0.2, 5))
def test_what_is_no_white_stays(seed: int, power: float) -> None:
    """Where the darkest channel of the input is below 0.3, T is what the networks say."""
    ldr, corrected = toned(seed, power), toned(seed + 1)
    inside = ldr.min(-1) <= 0.3
    result = brighten_clipped(ldr, corrected)
    np.testing.assert_allclose(result[inside], corrected[inside], atol=1e-6)


def test_white_stays_light() -> None:
    """Where the camera saw white, T's luma is 0.7 or more; the floor falls without a step."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    ldr = np.repeat(ramp[None, :, None], 3, 2)
    result = brighten_clipped(ldr, np.full_like(ldr, 0.02)) @ LUMA
    assert abs(result[0, -1] - 0.7) < 1e-4
    assert result[0, 64] < 0.03
    assert np.diff(result[0]).max() < 0.02


@given(seeds, st.floats(0.02, 0.12))
def test_little_is_not_lowered(seed: int, power: float) -> None:
    """Where T is up to 0.3 EV darker than the input, it keeps its mean luma, and its own shape."""
    ldr = toned(seed)
    corrected = (0.8 * ldr + 0.2 * ldr**2 * (3 - 2 * ldr)) ** np.float32(2**power)
    corrected = corrected.astype(np.float32)
    assume(-0.29 < stops(ldr, corrected) < 0)
    result = anchor_mean_luma(ldr, corrected, everywhere(1))
    assert abs(float((result @ LUMA).mean() - (ldr @ LUMA).mean())) < 1e-3
    order = np.argsort(corrected.ravel())
    assert (np.diff(result.ravel()[order]) >= -1e-6).all()


@given(seeds, st.sampled_from([-1.2, -0.2, -0.1, 0.9, 1.4]))
def test_other_changes_are_made(seed: int, power: float) -> None:
    """Lowered from 0.45 EV on, or lifted, T is what the networks say, bit for bit."""
    ldr = toned(seed)
    corrected = ldr ** np.float32(2**power)
    assume(stops(ldr, corrected) > 0 or stops(ldr, corrected) < -0.46)
    assert anchor_mean_luma(ldr, corrected, everywhere(1)).tobytes() == corrected.tobytes()


def test_nothing_jumps_in_between() -> None:
    """The result's exposure follows T's without a step."""
    ldr = toned(3)
    changes = []
    for power in np.linspace(0, 1, 200):
        corrected = ldr ** np.float32(2**power)
        changes.append(stops(ldr, anchor_mean_luma(ldr, corrected, everywhere(1))))
    assert abs(changes[0]) < 0.01
    assert changes[-1] < -0.45
    assert np.abs(np.diff(changes)).max() < 0.05


def test_hidden_pixels_do_not_count() -> None:
    """What has no weight is no part of the mean; with nothing but that, nothing breaks."""
    ldr, corrected = toned(5), toned(5) ** np.float32(1.05)
    ldr[:, 32:] = 0
    weight = everywhere(1)
    weight[:, 32:] = 0
    result = anchor_mean_luma(ldr, corrected, weight)
    kept = (result[:, :32] @ LUMA).mean() - (ldr[:, :32] @ LUMA).mean()
    assert abs(float(kept)) < 1e-3
    assert np.isfinite(anchor_mean_luma(ldr, corrected, everywhere(0))).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_flat_ends(value: float) -> None:
    """A black and a white input give finite T in 0..1."""
    ldr = np.full((32, 32, 3), value, np.float32)
    for level in (0.0, 0.05, 0.9, 1.0):
        corrected = brighten_clipped(ldr, np.full_like(ldr, level))
        result = anchor_mean_luma(ldr, corrected, everywhere(1, 32, 32))
        assert np.isfinite(result).all()
        assert 0 <= result.min() <= result.max() <= 1
