from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_pairs import Golden, bands, hdr, intermediates, ldr, values

from drht_plugin.evaluation.metrics import (
    cvvdp,
    fsim,
    fsimc,
    hdr_vdp2,
    hdr_vdp2_details,
    psnr,
    pu21_psnr,
    ssim,
    tmqi_details,
)
from drht_plugin.evaluation.metrics._pu21 import pu21_encode
from drht_plugin.evaluation.metrics.hdrvdp import optics, retina

LUMINANCE = (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize(("folder", "golden"), values("ldr_golden.json"))
def test_display_metrics_equal_their_authors_values(folder: Path, golden: Golden) -> None:
    """PSNR, SSIM, FSIM and FSIMc of 8-bit pairs are those of the authors' code within 1e-6."""
    test, reference = ldr(folder, golden["pair"]), ldr(folder, golden["ref"])
    expected = golden["matlab_octave"]
    found = {
        "psnr_rgb": psnr(test, reference),
        "psnr_y601": psnr(test, reference, channel="luma"),
        "ssim_y601": ssim(test, reference),
        "ssim_rgb_mean": ssim(test, reference, channel="rgb"),
        "FSIM": fsim(test, reference),
        "FSIMc": fsimc(test, reference),
    }
    assert found == pytest.approx({name: expected[name] for name in found}, rel=0, abs=1e-6)


@pytest.mark.parametrize(("folder", "golden"), values("ldr_golden.json"))
def test_hdr_vdp2_equals_its_authors_values_on_a_display(folder: Path, golden: Golden) -> None:
    """HDR-VDP-2 of sRGB codes: Q within 1e-6, detection and contrast within 1e-3 relative."""
    test, reference = ldr(folder, golden["pair"]), ldr(folder, golden["ref"])
    _check_hdr_vdp2(test, reference, golden["hdrvdp2_srgb_display_ppd30"], "sRGB-display", 30)


@pytest.mark.parametrize(
    ("key", "encoding", "pixels_per_degree"),
    [
        ("rgb709_ppd30", "rgb-bt.709", 30),
        ("rgb709_ppd60", "rgb-bt.709", 60),
        ("luminance_ppd30", "luminance", 30),
    ],
)
@pytest.mark.parametrize(("folder", "golden"), values("hdr_golden.json"))
def test_hdr_vdp2_equals_its_authors_values_on_light(
    folder: Path, golden: Golden, key: str, encoding: str, pixels_per_degree: float
) -> None:
    """HDR-VDP-2 of cd/m²: Q within 1e-6, detection and contrast within 1e-3 relative."""
    test, reference = (hdr(folder, golden[name]).astype(float) for name in ("pair", "ref"))
    if encoding == "luminance":
        test, reference = test @ LUMINANCE, reference @ LUMINANCE
    _check_hdr_vdp2(test, reference, golden["hdrvdp2"][key], encoding, pixels_per_degree)


def _check_hdr_vdp2(
    test: np.ndarray,
    reference: np.ndarray,
    expected: dict[str, float],
    encoding: str,
    pixels_per_degree: float,
) -> None:
    found = hdr_vdp2_details(
        test, reference, encoding=encoding, pixels_per_degree=pixels_per_degree
    )
    assert found.quality == pytest.approx(expected["Q"], rel=0, abs=1e-6)
    # The golden values are rounded to ten decimals.
    assert found.detection == pytest.approx(expected["P_det"], rel=1e-3, abs=1e-9)
    assert found.contrast == pytest.approx(expected["C_max"], rel=1e-3, abs=1e-9)
    if "P_map_mean" in expected:
        mean = float(found.detection_map.mean())
        assert mean == pytest.approx(expected["P_map_mean"], rel=1e-3, abs=1e-9)
    short = hdr_vdp2(test, reference, encoding=encoding, pixels_per_degree=pixels_per_degree)
    assert short == found.quality


@pytest.mark.parametrize(("folder", "golden"), bands())
def test_hdr_vdp2_bands_equal_their_authors_values(folder: Path, golden: Golden) -> None:
    """Every band has the recorded size, frequency, weight, difference and sensitivity."""
    found = hdr_vdp2_details(hdr(folder, golden["pair"]), hdr(folder, golden["ref"])).bands
    assert len(found) == len(golden["bands"])
    for band, expected in zip(found, golden["bands"], strict=True):
        assert [band.band, band.orientation] == [expected["band"], expected["orient"]]
        assert list(band.shape) == expected["size"]
        measured = {
            "freq_cpd": band.frequency,
            "w_f": band.weight,
            "msre_D": band.difference,
            "msre_D_masked": band.masked_difference,
            "mean_abs_band_diff": band.contrast,
            "mean_CSF": band.sensitivity,
        }
        assert measured == pytest.approx({name: expected[name] for name in measured}, rel=1e-6)


def test_model_of_the_eye_equals_its_authors_values() -> None:
    """Receptor responses, optics and sensitivities are those recorded, within 1e-9 relative."""
    recorded = intermediates()
    responses = recorded["M_img_lmsr (rows: input channels; cols: L,M,S,rod)"]
    assert pytest.approx(np.array(responses["ccfl-lcd"]), rel=1e-9) == retina.RGB_RESPONSE
    assert pytest.approx(np.array(responses["d65"]), rel=1e-9) == retina.GREY_RESPONSE
    frequency, transfer = np.array([(float(f), v) for f, v in recorded["mtf(cpd)"].items()]).T
    assert optics.mtf(frequency) == pytest.approx(transfer, rel=1e-9)
    frequency, luminance, csf = np.array(recorded["ncsf(cpd,cd/m2)"]).T
    assert retina.neural_csf(frequency, luminance) == pytest.approx(csf, rel=1e-9)
    luminance, joint, rods = np.array(recorded["joint_rod_cone_sens, rod_sens (cd/m2)"]).T
    assert retina.joint_sensitivity(luminance) == pytest.approx(joint, rel=1e-9)
    assert retina.rod_sensitivity(luminance) == pytest.approx(rods, rel=1e-9)


@pytest.mark.parametrize(("folder", "golden"), values("tmqi_golden.json"))
def test_tmqi_equals_its_authors_values(folder: Path, golden: Golden) -> None:
    """Q, S and N of TMQI are those of the authors' code within 1e-6; S by scale within 1e-5."""
    found = tmqi_details(ldr(folder, golden["ldr"]), hdr(folder, golden["hdr"]))
    assert found.quality == pytest.approx(golden["Q"], rel=0, abs=1e-6)
    assert found.fidelity == pytest.approx(golden["S"], rel=0, abs=1e-6)
    assert found.naturalness == pytest.approx(golden["N"], rel=0, abs=1e-6)
    assert found.fidelity_by_scale == pytest.approx(golden["s_local"], rel=0, abs=1e-5)


@pytest.mark.parametrize(("folder", "golden"), values("hdr_golden.json"))
def test_pu21_psnr_equals_its_authors_values(folder: Path, golden: Golden) -> None:
    """PU21-PSNR of RGB and of luminance is that of the authors' code within 1e-6."""
    test, reference = hdr(folder, golden["pair"]), hdr(folder, golden["ref"])
    for channel, key in (("rgb", "psnr_rgb"), ("luminance", "psnr_y")):
        expected = golden["pu21"][key]  # null where the images are equal
        found = pu21_psnr(test, reference, channel=channel)
        assert found == pytest.approx(np.inf if expected is None else expected, rel=0, abs=1e-6)


def test_pu21_encoding_equals_its_authors_values() -> None:
    """The encoding of .005 to 10⁴ cd/m² is that recorded."""
    recorded = intermediates()["pu21_encode(L), banding_glare"]
    luminance = np.array([float(key) for key in recorded])
    assert pu21_encode(luminance) == pytest.approx(list(recorded.values()), abs=1e-7)


@pytest.mark.parametrize(("folder", "golden"), values("hdr_golden.json"))
def test_cvvdp_equals_recorded_values_on_light(folder: Path, golden: Golden) -> None:
    """ColorVideoVDP on an HDR display gives the recorded JOD within 1e-3."""
    pytest.importorskip("pycvvdp", reason="the extra evaluate-cvvdp is not installed")
    test, reference = hdr(folder, golden["pair"]), hdr(folder, golden["ref"])
    found = cvvdp(test, reference, display="standard_hdr_linear")
    expected = golden["cvvdp_0_5_7_standard_hdr_linear_JOD"]
    assert found == pytest.approx(expected, rel=0, abs=1e-3)


@pytest.mark.parametrize(("folder", "golden"), values("ldr_golden.json"))
def test_cvvdp_equals_recorded_values_on_a_display(folder: Path, golden: Golden) -> None:
    """ColorVideoVDP on a 4K display gives the recorded JOD within 1e-3."""
    pytest.importorskip("pycvvdp", reason="the extra evaluate-cvvdp is not installed")
    found = cvvdp(ldr(folder, golden["pair"]), ldr(folder, golden["ref"]))
    assert found == pytest.approx(golden["cvvdp_0_5_7_standard_4k_JOD"], rel=0, abs=1e-3)
