from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drht_plugin.errors import DependencyError, InputError
from drht_plugin.evaluation.metrics import (
    cvvdp,
    fsim,
    fsimc,
    hdr_vdp2,
    psnr,
    pu21_psnr,
    ssim,
    tmqi,
)

Metric = Callable[..., float]

DISPLAY: list[Metric] = [psnr, ssim, fsim, fsimc, partial(hdr_vdp2, encoding="sRGB-display"), cvvdp]
LIGHT: list[Metric] = [pu21_psnr, hdr_vdp2, partial(cvvdp, display="standard_hdr_linear")]
EVERY: list[Metric] = [*DISPLAY, *LIGHT, tmqi]

GOOD = np.linspace(0.2, 0.8, 24 * 30 * 3).reshape(24, 30, 3)


@pytest.mark.parametrize("metric", EVERY)
def test_shapes_that_differ_are_refused(metric: Metric) -> None:
    """The message names both shapes."""
    with pytest.raises(InputError, match=r"\(24, 29, 3\).*\(24, 30, 3\).*same shape"):
        metric(GOOD[:, 1:], GOOD)


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("shape", [(24,), (24, 30, 4), (2, 24, 30, 3)])
def test_other_dimensions_are_refused(metric: Metric, shape: tuple[int, ...]) -> None:
    """The message names the shape given and those accepted."""
    image = np.full(shape, 0.5)
    with pytest.raises(InputError, match=r"test has shape \(.*H×W×3.* accepted"):
        metric(image, image)


@pytest.mark.parametrize("metric", EVERY)
def test_empty_images_are_refused(metric: Metric) -> None:
    """An image without pixels has no score."""
    with pytest.raises(InputError, match="no pixels"):
        metric(GOOD[:0], GOOD[:0])


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(metric: Metric, bad: float) -> None:
    """The message counts them, and says in which image."""
    broken = GOOD.copy()
    broken[3, 4:6, 1] = bad
    with pytest.raises(InputError, match="test holds 2 values"):
        metric(broken, GOOD)
    with pytest.raises(InputError, match="reference holds 2 values"):
        metric(GOOD, broken)


@pytest.mark.parametrize("metric", [*LIGHT, lambda test, reference: tmqi(reference, test)])
def test_negative_light_is_refused(metric: Metric) -> None:
    """The message says how far down it goes."""
    with pytest.raises(InputError, match=r"down to -0\.3"):
        metric(GOOD - 0.5, GOOD)


@pytest.mark.parametrize("metric", [*DISPLAY, tmqi])
def test_display_codes_outside_their_range_are_refused(metric: Metric) -> None:
    """Floating-point codes of 0..255 are not silently taken for 0..1."""
    with pytest.raises(InputError, match=r"spans 51 to 204.*0 to 1"):
        metric(GOOD * 255, GOOD)


@pytest.mark.parametrize("metric", LIGHT)
def test_integers_are_not_light(metric: Metric) -> None:
    """Integers are display codes, so metrics of light refuse them."""
    codes = np.zeros((24, 30, 3), np.uint8)
    with pytest.raises(InputError, match="uint8"):
        metric(codes, codes)


@pytest.mark.parametrize("metric", DISPLAY)
@pytest.mark.parametrize("kind", [np.int64, np.complex128, bool])
def test_other_types_are_refused(metric: Metric, kind: type) -> None:
    """The message names the type given and those accepted."""
    image: NDArray[Any] = np.zeros((24, 30, 3), kind)
    with pytest.raises(InputError, match="uint8, uint16 and float"):
        metric(image, image)


@pytest.mark.parametrize("metric", [metric for metric in EVERY if metric not in (psnr, pu21_psnr)])
def test_images_smaller_than_the_window_are_refused(metric: Metric) -> None:
    """The message names the size given and the least one accepted."""
    with pytest.raises(InputError, match=r"10×30 pixels; .* needs \d+ or more"):
        metric(GOOD[:10], GOOD[:10])


@pytest.mark.parametrize(
    ("metric", "name", "accepted"),
    [
        (partial(hdr_vdp2, encoding="srgb"), "encoding", "'rgb-bt.709', 'luminance'"),
        (partial(psnr, channel="y"), "channel", "'rgb', 'luma'"),
        (partial(ssim, channel="y"), "channel", "'rgb', 'luma'"),
        (partial(pu21_psnr, channel="luma"), "channel", "'rgb', 'luminance'"),
        (partial(cvvdp, display="tv"), "display", "'standard_4k'"),
    ],
)
def test_unknown_options_are_refused(metric: Metric, name: str, accepted: str) -> None:
    """The message names the option, what was given and what is accepted."""
    with pytest.raises(InputError, match=f"{name} is '.*accepted are .*{accepted}"):
        metric(GOOD, GOOD)


@pytest.mark.parametrize("resolution", [0, -30, np.nan, np.inf])
def test_impossible_resolutions_are_refused(resolution: float) -> None:
    """Pixels per degree are finite and above 0."""
    with pytest.raises(InputError, match="pixels_per_degree"):
        hdr_vdp2(GOOD, GOOD, pixels_per_degree=resolution)


def test_luminance_has_one_channel() -> None:
    """The encoding "luminance" takes H×W images only, and the others H×W×3 only."""
    with pytest.raises(InputError, match="H×W is accepted"):
        hdr_vdp2(GOOD, GOOD, encoding="luminance")
    with pytest.raises(InputError, match="H×W×3 is accepted"):
        hdr_vdp2(GOOD[:, :, 0], GOOD[:, :, 0])


def test_tmqi_needs_a_scene_with_contrast() -> None:
    """A reference of one luminance has no structure to keep."""
    with pytest.raises(InputError, match="luminance 1 throughout"):
        tmqi(GOOD, np.ones_like(GOOD))


@pytest.mark.parametrize(
    ("metric", "module", "extra"),
    [(cvvdp, "pycvvdp", "evaluate-cvvdp"), (ssim, "skimage.metrics", "evaluate")],
)
def test_a_missing_package_names_its_extra(
    metric: Metric, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the optional package the error says what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DependencyError, match=rf"drht-plugin\[{extra}\]"):
        metric(GOOD, GOOD)
