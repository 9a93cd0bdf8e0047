"""The controls of a correction: the same names, ranges and pixels in every front end."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image
from profiles import rgb
from strategies import picture, same

import drht_plugin
from drht_plugin import Corrector, correct_file, io, vips
from drht_plugin.cli import main
from drht_plugin.engine.strength import PRESETS, RANGES, Controls, Strength

vips.register()

ASKED: list[Controls] = [
    {"exposure": 0.8, "temperature": -35, "tint": 12},
    {"preset": "strong", "shadows": 0.5},
    {"strength": 2},
    {"strength": 0, "exposure": -1.25},
    {"preset": "shadows-only", "exposure": 1, "temperature": 20},
]


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    return Corrector(device="cpu")


def arguments(asked: Controls) -> list[str]:
    """The command's options for controls."""
    return [word for name, value in asked.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize(("dtype", "space"), [("uint8", "adobe"), ("uint16", None)])
def test_front_ends_agree(
    asked: Controls, dtype: str, space: str | None, tmp_path: Path, corrector: Corrector
) -> None:
    """Arrays, streams, files, the command, libvips and its operation give the same pixels."""
    image = picture(70, 90, 3, dtype, 4, (0.0, 0.5))
    profile = rgb(space) if space else None
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    lazy = pyvips.Image.new_from_array(image)
    if profile:
        lazy.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    lazy.tiffsave(str(source))
    expected = corrector.correct(image, profile=profile, **asked)
    assert not same(expected, image)

    sink = np.empty_like(image)
    corrector.stream(image, sink, profile=profile, **asked)
    assert same(sink, expected)
    correct_file(source, target, corrector=corrector, **asked)
    assert same(io.read_picture(target).pixels, expected)
    command = ["correct", str(source), "-o", str(target), "--overwrite", "--device", "cpu"]
    assert main([*command, "--quiet", *arguments(asked)]) == 0
    assert same(io.read_picture(target).pixels, expected)
    opened = pyvips.Image.new_from_file(str(source))
    assert same(vips.correct(opened, device="cpu", **asked).numpy(), expected)
    assert same(opened.drht_correct(device="cpu", **asked).numpy(), expected)
    lazily = drht_plugin.correct(image, profile=profile, device="cpu", **asked)
    assert same(lazily, expected)


def test_help_gives_range_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The command has an option for every control, whose help says its range and default."""
    with pytest.raises(SystemExit):
        main(["correct", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, (least, most) in RANGES.items():
        told = re.search(rf"--{name} {name.upper()} ([^-].*?\))", text[text.index("options:") :])
        assert told, name
        default = getattr(Strength(), name)
        assert f"{least} to {most}" in told[1]
        assert f"default: {default:g}" in told[1]
    for name, values in PRESETS.items():
        assert all(f"{name}: {key} {value:g}" in text for key, value in values.items())


def test_every_call_has_every_control() -> None:
    """`correct` names each control; calls that take more arguments than that take them too."""
    names = {*RANGES, "preset"}
    assert set(Controls.__annotations__) == names
    assert names <= inspect.signature(drht_plugin.correct).parameters.keys()
    operation = pyvips.Introspect.get("drht_correct")
    assert names <= set(operation.optional_input)
    assert set(inspect.signature(Strength).parameters) == set(RANGES)


@pytest.mark.parametrize("name", list(RANGES))
@pytest.mark.parametrize("side", [0, 1])
def test_values_out_of_range(
    name: str, side: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value beyond its range is refused by name with the range: exit code 2, and by libvips."""
    least, most = RANGES[name]
    value = (least - 0.5, most + 0.5)[side]
    source = tmp_path / "a.png"
    Image.fromarray(picture(20, 30, 3, "uint8")).save(source)
    words = f"from {least} to {most}"
    with pytest.raises(SystemExit) as stopped:
        main(["correct", str(source), f"--{name}", str(value)])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert f"--{name}" in told
    assert words in told
    asked: Any = {name: value}
    opened = pyvips.Image.new_from_file(str(source))
    with pytest.raises(drht_plugin.InputError, match=f"{name} is .*{words}"):
        vips.correct(opened, **asked)
    with pytest.raises(drht_plugin.InputError, match=f"{name} is .*{words}"):
        opened.drht_correct(**asked)


def test_a_well_exposed_picture_is_touched_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is to be corrected, the command says so, and does what else is asked for."""
    source = tmp_path / "a.png"
    gray = np.tile(np.linspace(60, 190, 128).astype(np.uint8)[None, :, None], (96, 1, 3))
    Image.fromarray(gray).save(source)
    assert main(["correct", str(source), "-o", str(tmp_path / "b.png"), "--exposure", "0.5"]) == 0
    said = capsys.readouterr().out
    report = correct_file(source, tmp_path / "c.png", exposure=0.5)
    assert report.left_alone == ("well exposed, not corrected" in said)
    assert "unchanged" not in said
    if report.left_alone:
        touched = drht_plugin.correct(gray, strength=0, exposure=0.5)
        assert same(io.read_picture(tmp_path / "b.png").pixels, touched)
