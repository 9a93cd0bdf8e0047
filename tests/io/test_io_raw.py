"""Camera raw: what its channels hold above the clip point of the first is used, and right."""

import sys
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
from dng_bytes import write_dng
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from strategies import corrector

from drht_plugin import Corrector, correct_file, io
from drht_plugin.bridge.roll_off import KNEE, roll_off, undo_roll_off
from drht_plugin.bridge.transfer import srgb_encode
from drht_plugin.cli import main
from drht_plugin.engine.known_light import known_light
from drht_plugin.errors import DependencyError, ReadError
from drht_plugin.io import _raw
from drht_plugin.io._develop import restore_clipped
from drht_plugin.orientation import to_stored

STUB = corrector()
ONE_CLIPPED, TWO_CLIPPED = (1.1, 2.7), (2.95, 3.5)
"""Light where only green is clipped, and where only red holds, of the neutral (.25, 1, .35)."""


def bright_window(height: int = 192, width: int = 256) -> NDArray[np.floating]:
    """Return a dim room with windows of up to 3.6 times the clip point, in neutral light."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    light = 0.05 + 0.25 * x + 0.04 * np.sin(20 * y) * np.sin(14 * x)
    for place, size, power in (((0.3, 0.4), 0.24, 3.3), ((0.75, 0.6), 0.17, 2.2)):
        away = ((x - place[0]) ** 2 + (y - place[1]) ** 2) / size**2
        light += power * np.exp(-(away**2))
    return np.repeat(light[..., None], 3, -1)


def light_of(picture: io.Picture) -> NDArray[np.floating]:
    return known_light(
        picture.pixels.astype(np.float32) / np.float32(65535), picture.carrier.headroom
    )


def stops(found: NDArray[Any], scene: NDArray[Any], span: tuple[float, float]) -> float:
    """Return the mean error in EV where the scene's light lies in a span."""
    where = (scene > span[0]) & (scene < span[1])
    assert where.sum() > 500
    return float(np.abs(np.log2(np.maximum(found[where], 1e-4) / scene[where])).mean())


@given(st.floats(1, 64), st.integers(0, 1 << 30))
def test_roll_off_can_be_undone(headroom: float, seed: int) -> None:
    """Light up to the headroom comes into 0..1, in its order, and back; below the knee it stays."""
    light = np.sort(np.random.default_rng(seed).random(200) * headroom)
    rolled = roll_off(light, headroom)
    assert (rolled <= 1 + 1e-12).all()
    assert (np.diff(rolled) >= 0).all()
    np.testing.assert_array_equal(rolled[light <= KNEE], light[light <= KNEE])
    np.testing.assert_allclose(undo_roll_off(rolled, headroom), light, rtol=1e-6)
    assert roll_off(np.array([headroom]), headroom)[0] == pytest.approx(1)


@given(st.floats(0.01, 3.9), st.permutations([1.0, 2.2, 4.0]))
def test_clipped_channels_follow_those_that_hold(light: float, clips: list[float]) -> None:
    """In neutral light each clipped channel gets what the others hold; the others stay."""
    values = np.minimum(np.full((1, 1, 3), light), clips).astype(np.float32)
    restored = restore_clipped(values, (clips[0], clips[1], clips[2]))
    held = values < 0.93 * np.array(clips)
    np.testing.assert_array_equal(restored[held], values[held])
    if light < 0.93 * 4:
        np.testing.assert_allclose(restored, light, rtol=0.01)


def test_all_channels_clipped_are_white() -> None:
    """Where nothing holds, it is as bright as the camera's last channel, without a cast."""
    clips = (4.0, 1.0, 2.8)
    restored = restore_clipped(np.array([[clips]], np.float32), clips)
    np.testing.assert_allclose(restored, 4, rtol=0.01)


@pytest.mark.parametrize("span", [(0.06, 0.95), ONE_CLIPPED, TWO_CLIPPED], ids=str)
def test_the_light_of_a_scene(span: tuple[float, float], tmp_path: Path) -> None:
    """A raw picture holds the scene's light, below the clip point and two stops above it."""
    scene = bright_window()
    write_dng(tmp_path / "a.dng", scene)
    picture = io.read_picture(tmp_path / "a.dng")
    assert picture.dtype == np.uint16
    assert picture.transfer == "srgb"
    assert stops(light_of(picture), scene, span) < 0.03


def test_colours(tmp_path: Path) -> None:
    """Colours of unclipped light are the scene's, through the camera's white balance and matrix."""
    scene = np.full((120, 180, 3), (0.1, 0.2, 0.15))
    for at, colour in enumerate(((0.7, 0.1, 0.1), (0.1, 0.5, 0.2), (0.2, 0.2, 0.8))):
        scene[20:100, 15 + 60 * at : 45 + 60 * at] = colour
    write_dng(tmp_path / "a.dng", scene)
    found = light_of(io.read_picture(tmp_path / "a.dng"))
    for at in range(3):
        place = slice(40, 80), slice(22 + 60 * at, 38 + 60 * at)
        np.testing.assert_allclose(found[place].mean((0, 1)), scene[place].mean((0, 1)), atol=0.01)


def test_without_highlights_nothing_is_rolled_off(tmp_path: Path) -> None:
    """A raw picture that clips nowhere is developed as any linear light: H becomes sRGB codes."""
    scene = 0.6 * bright_window() / 3.6
    write_dng(tmp_path / "a.dng", scene)
    picture = io.read_picture(tmp_path / "a.dng")
    assert picture.carrier.headroom == 1
    inside = slice(4, -4), slice(4, -4)
    codes = picture.pixels[inside] / 65535
    np.testing.assert_allclose(codes, srgb_encode(scene[inside]), atol=0.01)


@pytest.mark.parametrize("span", [ONE_CLIPPED, TWO_CLIPPED], ids=["one channel", "two channels"])
def test_highlights_beat_those_of_the_jpeg(span: tuple[float, float], tmp_path: Path) -> None:
    """Where a channel holds, the HDR estimate is over 1 EV nearer to the scene than a JPEG's."""
    scene = bright_window()
    write_dng(tmp_path / "a.dng", scene)
    codes = np.rint(255 * srgb_encode(scene.clip(0, 1))).astype(np.uint8)
    Image.fromarray(codes).save(tmp_path / "a.jpg", quality=95)
    errors, model = {}, Corrector()
    for name in ("a.dng", "a.jpg"):
        target, hdr = tmp_path / f"{name}.tif", tmp_path / f"{name}.exr"
        correct_file(tmp_path / name, target, corrector=model, hdr=hdr)
        errors[name] = stops(io.read_picture(hdr).pixels, scene, span)
    assert errors["a.dng"] < 0.05
    assert errors["a.jpg"] - errors["a.dng"] > 1


def test_the_result_shows_what_the_highlights_hold(tmp_path: Path) -> None:
    """Highlights that the JPEG has lost differ in the corrected picture, in 16 real bits."""
    scene = bright_window()
    write_dng(tmp_path / "a.dng", scene)
    assert main(["correct", str(tmp_path / "a.dng"), "--quiet"]) == 0
    result = io.read_picture(tmp_path / "a-corrected.tif")
    assert result.dtype == np.uint16
    assert len(np.unique(result.pixels & 255)) == 256
    luma = result.pixels[..., 1] / 65535
    brightest, clip = (scene[..., 0] > level for level in (3.2, 1.1))
    edge = clip & (scene[..., 0] < 1.3)
    assert luma[brightest].mean() > luma[edge].mean() + 0.02
    assert luma.max() <= 1


def test_strength_0_is_the_plain_development(tmp_path: Path) -> None:
    """Without correction the result is the developed picture, bit for bit."""
    write_dng(tmp_path / "a.dng", bright_window())
    correct_file(tmp_path / "a.dng", tmp_path / "b.tif", corrector=STUB, strength=0)
    left, right = (io.read_picture(tmp_path / name).pixels for name in ("a.dng", "b.tif"))
    np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation(turn: int, tmp_path: Path) -> None:
    """The picture is upright, whatever the tag says, and the tag says so afterwards."""
    y, x = np.mgrid[0:1:96j, 0:1:128j]
    upright = np.repeat((0.1 + 0.3 * x + 0.4 * y * y)[..., None], 3, -1)
    write_dng(tmp_path / "a.dng", to_stored(upright, turn), orientation=turn)
    picture = io.read_picture(tmp_path / "a.dng")
    assert io.orientation(picture.carrier.metadata) == 1
    assert picture.shape == upright.shape
    inside = slice(8, -8), slice(8, -8)
    np.testing.assert_allclose(light_of(picture)[inside], upright[inside], atol=0.02)


def test_metadata(tmp_path: Path) -> None:
    """Camera, artist, XMP and what EXIF says of the shot go to the result; it is called sRGB."""
    packet = (700, "B", len(made.XMP), made.XMP, True)
    artist = (315, "s", 0, "Ada", True)
    write_dng(tmp_path / "a.dng", bright_window(), orientation=6, extra=(packet, artist))
    correct_file(tmp_path / "a.dng", tmp_path / "b.jpg.tif", corrector=STUB)
    found = made.tags(tmp_path / "b.jpg.tif")
    assert (found["Make"], found["Model"], found["Orientation"]) == ("ACME", "Camera 1", None)
    assert found["ColorSpace"] == 1
    with Image.open(tmp_path / "b.jpg.tif") as image:
        assert image.info["xmp"] == made.XMP
        assert image.getexif()[315] == "Ada"
        assert not {50706, 50721, 50728, 33421} & set(image.getexif())


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a"])
def test_content_decides(name: str, tmp_path: Path) -> None:
    """A raw file is one under any name, and its result is named by what it is."""
    write_dng(tmp_path / name, bright_window(64, 96))
    assert io.read_picture(tmp_path / name).carrier.format == "raw"
    assert main(["correct", str(tmp_path / name), "--quiet", "--strength", "0"]) == 0
    assert io.read_picture(tmp_path / "a-corrected.tif").carrier.format == "tiff"


def test_damage(tmp_path: Path) -> None:
    """A raw file that is cut is refused by name, as damaged or as a kind that is not read."""
    write_dng(tmp_path / "a.dng", bright_window(64, 96))
    data = (tmp_path / "a.dng").read_bytes()
    for length in (len(data) - 4000, len(data) // 2, 200, 12):
        (tmp_path / "a.dng").write_bytes(data[:length])
        with pytest.raises(ReadError, match=r"^a\.dng: "):
            io.read_picture(tmp_path / "a.dng")


@pytest.mark.parametrize("head", [b"FUJIFILMCCD-RAW ", b"IIRO", b"\0\0\0\x18ftypcrx "])
def test_foreign_files_are_refused_by_name(head: bytes, tmp_path: Path) -> None:
    """What only begins as a camera's file does is no foreign exception."""
    (tmp_path / "a.raf").write_bytes(head + bytes(4000))
    with pytest.raises(ReadError, match=r"^a\.raf: "):
        io.read_picture(tmp_path / "a.raf")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rawpy the error names the file, and the extra that brings it; exit code 1."""
    write_dng(tmp_path / "a.dng", bright_window(64, 96))
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(DependencyError, match=r"^a\.dng: .*'drht-plugin\[raw\]'"):
        io.read_picture(tmp_path / "a.dng")
    assert main(["correct", str(tmp_path / "a.dng"), "--quiet"]) == 1


def test_a_batch_develops_each_picture_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To know what a raw picture takes, it is not developed; pixels, bytes and kind are right."""
    real, developed = _raw._developed, []

    def counted(rawpy: Any, file: Any) -> Any:
        developed.append(1)
        return real(rawpy, file)

    monkeypatch.setattr(_raw, "_developed", counted)
    for name in ("a.dng", "b.dng", "c.dng"):
        write_dng(tmp_path / name, bright_window())
    size = io.size_of(tmp_path / "a.dng")
    assert not developed
    picture = io.read_picture(tmp_path / "a.dng")
    assert size[:3] == (picture.pixels[..., 0].size, picture.pixels.nbytes, True)
    developed.clear()
    assert main(["correct", str(tmp_path), "-o", str(tmp_path / "out"), "--jobs", "2"]) == 0
    assert len(developed) == 3
    assert len(list((tmp_path / "out").iterdir())) == 3
