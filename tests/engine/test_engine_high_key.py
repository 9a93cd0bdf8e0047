"""Pictures with much white that are exposed right stay as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from high_key import DRAWN, drawn, landscape
from PIL import Image

from drht_plugin import Corrector
from drht_plugin.cli import main
from drht_plugin.io import read_picture, upright

FAULTS = Path(__file__).parents[3] / "shared/faults"


@pytest.fixture(scope="module")
def model() -> str:
    return "default"


@pytest.fixture(scope="module")
def corrector(model: str) -> Corrector:
    return Corrector(model=model)


def require_left_alone(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> None:
    """Little changes, white stays white, and no colour comes in."""
    change = after.astype(np.float64) - before
    assert np.abs(change).mean() < 2
    assert np.ptp(change.mean((0, 1))) <= 2
    white = before.min(-1) >= 250
    assert after[white].min(initial=255) >= 248


@pytest.mark.parametrize("name", DRAWN)
def test_high_key_is_left_alone(name: str, corrector: Corrector) -> None:
    """Pages, products, snow, a wall, a scan, a screenshot and a chart keep their codes."""
    before = drawn(name)
    require_left_alone(before, corrector.correct(before))


@pytest.mark.parametrize("name", ["product", "page", "ball_on_white"])
def test_pictures_that_came_out_lilac(name: str, corrector: Corrector) -> None:
    """White grounds that users sent stay white, and what lies on them stays as it is."""
    file = FAULTS / f"{name}.png"
    if not file.is_file():
        pytest.skip(f"shared/faults/{name}.png is absent")
    before = np.ascontiguousarray(upright(read_picture(file))[..., :3])
    require_left_alone(before, corrector.correct(before))


def exposed(factor: float) -> npt.NDArray[np.uint8]:
    """A landscape as if exposed longer by a factor, in light of a gamma of 2.2."""
    light = (landscape(480, 640, 1).clip(0, 255) / 255) ** 2.2 * factor
    return np.rint(255 * light.clip(0, 1) ** (1 / 2.2)).astype(np.uint8)


def test_what_is_badly_exposed_is_not(corrector: Corrector) -> None:
    """A landscape that was exposed two stops too long, or three too short, is corrected."""
    for factor in (4, 1 / 8):
        before = exposed(factor)
        scene = corrector.survey(before)
        assert not scene.left_alone
        change = corrector.render(scene, before).astype(float) - before
        assert abs(change.mean()) > 10


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_left_alone_is_the_input(dtype: str, corrector: Corrector) -> None:
    """The scene says so, and every dtype comes back within a code."""
    codes = drawn("chart")
    scale = {"uint8": 1, "uint16": 257, "float32": 1 / 255}[dtype]
    before: npt.NDArray[Any] = (codes.astype(np.float64) * scale).astype(dtype)
    scene = corrector.survey(before)
    assert scene.left_alone
    after = corrector.render(scene, before)
    step = {"uint8": 0, "uint16": 1, "float32": 1e-5}[dtype]
    assert np.abs(after.astype(np.float64) - before).max() <= step


def test_the_command_says_so(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`drht correct` tells which pictures stay as they are, in its line and in JSON."""
    chart, dark = tmp_path / "chart.png", tmp_path / "dark.png"
    Image.fromarray(drawn("chart")).save(chart)
    Image.fromarray(exposed(1 / 8)).save(dark)
    arguments = ["correct", str(chart), str(dark), "--model", model, "--overwrite"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["left unchanged" in line for line in lines] == [True, False]
    assert main([*arguments, "--json"]) == 0
    *reports, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert [report["left_alone"] for report in reports] == [True, False]
    assert summary["summary"]["left_alone"] == 1
