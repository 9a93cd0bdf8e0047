"""Whole panoramas in an evaluation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sets

from drht_plugin.cli import main
from drht_plugin.errors import InputError
from drht_plugin.evaluation.datasets import unit
from drht_plugin.evaluation.lineup import OURS, make_lineup
from drht_plugin.evaluation.panoramas import EXPOSURES, Panoramas
from drht_plugin.evaluation.scores import DISPLAY

METRICS = ["--metrics", "psnr,ssim,seam,ev-unclipped"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sets.make_panorama_folder(tmp_path / "hdr")


def test_each_panorama_at_each_exposure(folder: Path) -> None:
    """Panoramas are shot whole, darker to brighter, against one true LDR; photographs are not."""
    items = [lazy.load() for lazy in Panoramas(folder, 7).items()]
    assert [item.name for item in items] == [
        f"{name} {stops:+g} EV" for name in ("one", "two") for stops in EXPOSURES
    ]
    assert all(item.wrap and item.ldr.shape == (64, 128, 3) for item in items)
    under, metered, over = items[:3]
    assert under.ldr.mean() < metered.ldr.mean() < over.ldr.mean()
    np.testing.assert_array_equal(under.reference, over.reference)
    assert under.radiance is not None
    assert metered.radiance is not None
    np.testing.assert_allclose(under.radiance * 2**2.5, metered.radiance, rtol=1e-5)
    again = Panoramas(folder, 7).items()[1].load()
    np.testing.assert_array_equal(again.ldr, metered.ldr)


def test_the_reference_has_no_seam(folder: Path) -> None:
    """The true LDR goes on across the edges of a panorama that does."""
    item = Panoramas(folder, 7).items()[1].load()
    picture = unit(item.reference)
    assert DISPLAY["seam"].measure(picture, item) < 1.5


def test_a_seam_is_measured(folder: Path) -> None:
    """A step between the edges counts, the same step elsewhere does not; only panoramas have it."""
    item = Panoramas(folder, 7).items()[1].load()
    seam = DISPLAY["seam"]
    picture = item.picture.copy()
    plain = seam.measure(picture, item)
    stepped = picture.copy()
    stepped[:, :64] *= 0.8
    assert seam.measure(stepped, item) > 2 * plain
    np.testing.assert_allclose(seam.measure(np.roll(stepped, 32, 1), item), plain, rtol=0.5)
    assert seam.applies_to(item)
    assert not seam.applies_to(replace(item, wrap=False))


def test_our_methods_wrap(folder: Path) -> None:
    """The product is told of the panorama: turned, it comes out turned."""
    item = Panoramas(folder, 7).items()[0].load()
    ours = make_lineup((OURS,), "default", "cpu").correctors[OURS]
    turned = replace(item, ldr=np.roll(item.ldr, 40, 1))
    straight = ours(item)
    assert np.abs(ours(turned) - np.roll(straight, 40, 1)).max() < 2 / 255
    assert np.abs(ours(replace(turned, wrap=False)) - np.roll(straight, 40, 1)).max() > 2 / 255


def test_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables by exposure, and what was measured on in the JSON."""
    out = tmp_path / "out.json"
    arguments = ["evaluate", "--panoramas", str(folder), "--methods", "identity,linear", *METRICS]
    arguments += ["--json", str(out), "--jobs", "1", "--device", "cpu"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    for title in ("all (6 pictures)", "exposure = -2.5 EV (2 p", "exposure = +2 EV (2 p"):
        assert title in told
    result = json.loads(out.read_text())
    assert result["source"]["panoramas at EV"] == [-2.5, 0.0, 2.0]
    assert result["source"]["items"] == 6
    values = {(row["item"], row["method"]): row["values"] for row in result["items"]}
    assert set(values["one +0 EV", "identity"]) == {"psnr", "ssim", "seam"}
    assert set(values["one +0 EV", "linear"]) == {"ev-unclipped"}


def test_a_folder_without_panoramas_is_refused(tmp_path: Path) -> None:
    """Photographs alone are no panoramas, which is said at once."""
    folder = sets.make_hdr_folder(tmp_path / "hdr")
    with pytest.raises(InputError, match="no panorama"):
        Panoramas(folder, 7).items()
