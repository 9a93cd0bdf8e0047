from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from drht_plugin.evaluation.metrics import (
    fsim,
    fsimc,
    hdr_vdp2,
    hdr_vdp2_details,
    psnr,
    pu21_psnr,
    ssim,
    tmqi,
    tmqi_details,
)
from drht_plugin.evaluation.metrics.hdrvdp import pyramid
from drht_plugin.evaluation.metrics.hdrvdp.resize import resize_plane

Image = NDArray[np.float64]
Metric = Callable[..., float]

DISPLAY: list[tuple[Metric, float]] = [
    (psnr, math.inf),
    (ssim, 1.0),
    (fsim, 1.0),
    (fsimc, 1.0),
]
LIGHT: list[tuple[Metric, float]] = [(pu21_psnr, math.inf), (hdr_vdp2, 100.0)]
NOISE = (0.01, 0.04, 0.16)


@pytest.fixture(scope="module")
def display() -> Image:
    """A smooth picture with an edge, of 48×67 pixels, codes of .2 to .8."""
    down, across = np.mgrid[0:48, 0:67] / 67
    planes = [np.sin(9 * across), np.cos(7 * down * across), np.sign(down + across - 0.8)]
    mixed = np.stack(planes, axis=2) @ np.array([[3.0, 1, 1], [1, 3, 1], [1, 1, 3]])
    return np.asarray(0.5 + 0.3 * mixed / np.abs(mixed).max())


@pytest.fixture(scope="module")
def light(display: Image) -> Image:
    """The same as light: .05 to 500 cd/m²."""
    span = (display - display.min()) / np.ptp(display)
    return np.asarray(0.05 * 10 ** (4 * span))


def disturbed(image: Image, amount: float) -> Image:
    """Additive noise of one pattern and a given amount; relative where light is above 1."""
    noise = np.random.default_rng(7).standard_normal(image.shape)
    scale = 1.0 if image.max() <= 1 else image
    return np.asarray(np.clip(image + amount * scale * noise, 0, 1 if image.max() <= 1 else None))


@pytest.mark.parametrize(("metric", "best"), DISPLAY)
def test_equal_display_images_score_best(metric: Metric, best: float, display: Image) -> None:
    """An image compared with itself gets the best value."""
    assert metric(display, display) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("metric", "best"), LIGHT)
def test_equal_lights_score_best(metric: Metric, best: float, light: Image) -> None:
    """An HDR image compared with itself gets the best value."""
    assert metric(light, light) == best


@pytest.mark.parametrize("metric", [metric for metric, _ in DISPLAY])
def test_more_noise_scores_lower_on_a_display(metric: Metric, display: Image) -> None:
    """The score falls as the noise grows."""
    scores = [metric(disturbed(display, amount), display) for amount in (0.0, *NOISE)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


@pytest.mark.parametrize("metric", [metric for metric, _ in LIGHT])
def test_more_noise_scores_lower_on_light(metric: Metric, light: Image) -> None:
    """The score falls as the noise grows."""
    scores = [metric(disturbed(light, amount), light) for amount in (0.0, *NOISE)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


@pytest.mark.parametrize("metric", [psnr, ssim, fsim, fsimc])
def test_display_metrics_are_symmetric(metric: Metric, display: Image) -> None:
    """Exchanging the images changes nothing."""
    other = disturbed(display, 0.1)
    assert metric(display, other) == pytest.approx(metric(other, display), rel=1e-12)


def test_pu21_psnr_is_symmetric(light: Image) -> None:
    """Exchanging the images changes nothing."""
    other = disturbed(light, 0.1)
    assert pu21_psnr(light, other) == pytest.approx(pu21_psnr(other, light), rel=1e-12)


@pytest.mark.parametrize("metric", [metric for metric, _ in DISPLAY])
def test_types_of_codes_agree(metric: Metric, display: Image) -> None:
    """uint8, uint16 and floating point of the same codes score the same."""
    codes = np.round(display * 255).astype(np.uint8)
    others = np.round(disturbed(display, 0.05) * 255).astype(np.uint8)
    expected = metric(others, codes)
    wide = metric(others.astype(np.uint16) * 257, codes.astype(np.uint16) * 257)
    assert wide == pytest.approx(expected, rel=1e-9)
    assert metric(others / 255, codes / 255) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", [metric for metric, _ in DISPLAY])
def test_a_grey_image_needs_no_channels(metric: Metric, display: Image) -> None:
    """H×W images are accepted, and score as the same codes in three channels."""
    grey = display[:, :, 1]
    other = disturbed(grey, 0.1)
    three = [np.repeat(image[:, :, None], 3, axis=2) for image in (other, grey)]
    assert metric(other, grey) == pytest.approx(metric(*three), rel=1e-6)


def test_psnr_follows_its_definition() -> None:
    """An error of one hundredth everywhere is 40 dB."""
    reference = np.full((5, 4, 3), 0.5)
    assert psnr(reference + 0.01, reference) == pytest.approx(40)


def test_fsimc_alone_sees_a_change_of_chrominance(display: Image) -> None:
    """A change that leaves the luma alone lowers FSIMc and not FSIM."""
    shift = np.array([0.1, -0.1 * 0.299 / 0.587, 0.0])
    assert fsim(display + shift, display) == pytest.approx(1, abs=1e-9)
    assert fsimc(display + shift, display) < 0.999


def test_fsim_of_flat_images_is_finite() -> None:
    """Images without features are alike, not a division by zero."""
    black, grey = np.zeros((20, 20, 3)), np.full((20, 20, 3), 0.5)
    assert fsim(black, black) == 1
    assert 0 <= fsimc(grey, black) <= 1


def test_tmqi_prefers_a_natural_rendition(display: Image, light: Image) -> None:
    """A rendition with detail beats a dark and a flat one; parts and whole lie in 0..1."""
    good = (light / light.max()) ** (1 / 6)
    scores = [tmqi(image, light) for image in (good, good * 0.2, 0.5 + 0.01 * good)]
    assert scores[0] == max(scores)
    details = tmqi_details(good, light)
    assert details.quality == scores[0]
    for part in (details.quality, details.fidelity, details.naturalness):
        assert 0 <= part <= 1


def test_tmqi_does_not_depend_on_the_unit_of_light(light: Image) -> None:
    """The reference may be in any unit."""
    good = (light / light.max()) ** (1 / 6)
    assert tmqi(good, light * 1e-3) == pytest.approx(tmqi(good, light), abs=1e-6)


def test_hdr_vdp2_depends_on_the_resolution(light: Image) -> None:
    """The same pixels seen at another resolution have another quality."""
    other = disturbed(light, 0.1)
    near, far = (hdr_vdp2(other, light, pixels_per_degree=ppd) for ppd in (15, 60))
    assert abs(near - far) > 1


def test_hdr_vdp2_needs_light_to_see_by(light: Image) -> None:
    """The same relative noise is seen less in the dark."""
    noisy = disturbed(light, 0.1)
    bright, dark = hdr_vdp2(noisy, light), hdr_vdp2(noisy * 1e-3, light * 1e-3)
    assert dark > bright


def test_hdr_vdp2_maps_show_where(light: Image) -> None:
    """Detection is a probability, largest where the images differ, and ½ at contrast 1."""
    other = light.copy()
    other[10:16, 50:56] *= 1.5
    details = hdr_vdp2_details(other, light)
    row, column = np.unravel_index(details.detection_map.argmax(), details.detection_map.shape)
    assert 8 <= row <= 18
    assert 48 <= column <= 58
    assert details.detection_map.min() >= 0
    assert details.detection == details.detection_map.max() <= 1
    assert np.allclose(details.detection_map, 1 - 0.5**details.contrast_map)


@pytest.mark.parametrize("shape", [(24, 24), (29, 40), (50, 33)])
def test_one_level_of_the_pyramid_gives_back_what_it_split(shape: tuple[int, int]) -> None:
    """Away from its edges a smooth plane of any size comes back within the kernels' error."""
    down, across = np.mgrid[0 : shape[0], 0 : shape[1]]
    plane = np.cos(down / 5) + np.sin(across / 7)
    error = np.abs(pyramid.reconstruct(pyramid.decompose(plane)) - plane)
    assert error[8:-8, 8:-8].max() < 0.01


def test_resizing_keeps_a_constant_and_centres_a_ramp() -> None:
    """Bicubic resizing keeps constants, and a ramp in the middle, down and up, odd sizes too."""
    ramp = np.broadcast_to(np.arange(40.0), (21, 40))
    half, twice = resize_plane(ramp, (11, 20)), resize_plane(ramp, (42, 80))
    assert half[5, 4:16] == pytest.approx(2 * np.arange(4, 16) + 0.5, abs=1e-9)
    assert twice[20, 8:72] == pytest.approx(np.arange(8, 72) / 2 - 0.25, abs=1e-9)
    assert resize_plane(np.full((9, 9), 3.0), (5, 14)) == pytest.approx(np.full((5, 14), 3.0))


def test_importing_the_metrics_is_quick() -> None:
    """The import brings neither torch nor scipy nor scikit-image."""
    import subprocess
    import sys

    code = (
        "import sys, drht_plugin.evaluation.metrics;"
        "print([name for name in ('torch', 'scipy', 'skimage') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
