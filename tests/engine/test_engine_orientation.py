"""One picture under the eight EXIF orientations: the same pixels once turned, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from strategies import channel_counts, corrector, dtypes, picture, seeds, sizes

import drht_plugin
from drht_plugin import InputError, Scene, Window, render, vips
from drht_plugin.cli import main
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.survey import sampling as sampling_module
from drht_plugin.engine.survey.noise import NoiseMeter
from drht_plugin.engine.survey.overview import overview
from drht_plugin.orientation import to_stored, to_upright, upright_corner

STUB = corrector()
TURNED = range(2, 9)
Pixels = npt.NDArray[Any]


def stored(image: Pixels, orientation: int) -> Pixels:
    """An upright image H×W or H×W×C as a camera stores it under a tag."""
    pixels = to_stored(image.reshape(*image.shape[:2], -1), orientation)
    return np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], *image.shape[2:])


def upright(image: Pixels, orientation: int) -> Pixels:
    """What a viewer shows of a stored image."""
    pixels = to_upright(image.reshape(*image.shape[:2], -1), orientation)
    return np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], *image.shape[2:])


@given(sizes, channel_counts, dtypes, seeds, st.sampled_from(TURNED), st.booleans())
def test_arrays(
    size: tuple[int, int],
    channels: int | None,
    dtype: str,
    seed: int,
    orientation: int,
    linear: bool,
) -> None:
    """Of every type, gray and RGB, with and without alpha, encoded and linear; HDR as well."""
    image = picture(*size, channels, dtype, seed)
    transfer = "linear" if linear else "srgb"
    given_ = stored(image, orientation)
    result = STUB.correct(given_, transfer=transfer, orientation=orientation)
    expected = STUB.correct(image, transfer=transfer)
    assert result.shape == given_.shape
    np.testing.assert_array_equal(upright(result, orientation), expected)
    hdr = STUB.estimate_hdr(given_, transfer=transfer, orientation=orientation)
    expected = STUB.estimate_hdr(image, transfer=transfer)
    np.testing.assert_array_equal(upright(hdr, orientation), expected)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("size", [(3000, 41), (41, 3000), (1999, 1500)])
def test_rows_that_are_left_out(size: tuple[int, int], orientation: int) -> None:
    """Also where the survey does not read every row, and floats are averaged in float."""
    image = picture(*size, 3, "uint16", 3, (0.0, 0.5))
    result = STUB.correct(stored(image, orientation), orientation=orientation)
    np.testing.assert_array_equal(upright(result, orientation), STUB.correct(image))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("rows", [1, 3, 50])
def test_windows_that_are_read(
    orientation: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overview and noise are the same bits whatever windows a stored image is read in."""
    image = picture(700, 530, 4, "uint8", 5)
    kind = spec_of(image)
    meter = NoiseMeter(kind)
    expected = (*overview(image, kind, meter=meter), meter.curve())
    given_ = stored(image, orientation)
    monkeypatch.setattr(sampling_module, "_BAND_PIXELS", rows * given_.shape[1])
    meter, kind = NoiseMeter(kind), spec_of(given_)
    made = (*overview(given_, kind, meter=meter, orientation=orientation), meter.curve())
    assert made[2].any()
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@given(
    st.sampled_from(TURNED),
    st.tuples(st.integers(0, 89), st.integers(0, 59), st.integers(1, 90), st.integers(1, 60)),
)
def test_windows_that_are_rendered(orientation: int, window: tuple[int, int, int, int]) -> None:
    """Any window of a stored image renders to the same bits as within the whole."""
    top, left, rows, columns = window
    image = picture(90, 60, 3, "uint8", 2, (0.0, 0.4))
    scene = STUB.survey(image, orientation=orientation)
    here = slice(top, top + rows), slice(left, left + columns)
    expected = STUB.render(scene, image)[here]
    np.testing.assert_array_equal(render(scene, image[here], Window(top, left)), expected)


@given(
    st.sampled_from(range(1, 9)),
    st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(1, 10), st.integers(1, 7)),
)
def test_corners(orientation: int, window: tuple[int, int, int, int]) -> None:
    """Where a window comes to lie is where its pixels are when the picture is upright."""
    top, left, rows, columns = window
    rows, columns = min(rows, 10 - top), min(columns, 7 - left)
    places = np.arange(70).reshape(10, 7, 1)
    part = to_upright(places[top : top + rows, left : left + columns], orientation)
    whole = to_upright(places, orientation)
    down, across = upright_corner((top, left), (rows, columns), (10, 7), orientation)
    found = whole[down : down + part.shape[0], across : across + part.shape[1]]
    np.testing.assert_array_equal(found, part)


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_streams(orientation: int) -> None:
    """Streamed by few rows at a time, a stored image is what it is as a whole."""
    image = picture(150, 201, 3, "uint8", 1)
    sink = np.empty_like(image)
    scene = STUB.stream(image, sink, orientation=orientation, tile=7)
    np.testing.assert_array_equal(sink, STUB.correct(image, orientation=orientation))
    assert scene.orientation == orientation


def test_scenes_are_kept(tmp_path: Path) -> None:
    """A saved scene knows how its image is stored, and renders the same."""
    image = picture(60, 90, 3, "uint8", 4)
    scene = STUB.survey(image, orientation=8)
    scene.save(tmp_path / "scene")
    loaded = Scene.load(tmp_path / "scene")
    assert loaded == scene
    assert loaded != STUB.survey(image)
    np.testing.assert_array_equal(render(loaded, image), render(scene, image))


@pytest.mark.parametrize("orientation", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shift", [0, 131])
def test_panoramas(orientation: int, dtype: str, shift: int) -> None:
    """A panorama under the tags that leave its sides where they are, shifted by any columns."""
    image = picture(100, 240, 3, dtype, 1)
    given_ = stored(np.roll(image, shift, 1), orientation)
    result = upright(STUB.correct(given_, orientation=orientation, wrap=True), orientation)
    np.testing.assert_array_equal(np.roll(result, -shift, 1), STUB.correct(image, wrap=True))


@pytest.mark.parametrize("orientation", [2, 6, 7])
def test_network_detail(orientation: int) -> None:
    """The detail network sees a picture upright too: only its rounding tells the tags apart."""
    image = picture(300, 200, 3, "uint8", 1, (0.0, 0.3))
    settings: dict[str, Any] = {"detail": "network", "tile": 256, "device": "cpu"}
    result = drht_plugin.correct(stored(image, orientation), orientation=orientation, **settings)
    expected = drht_plugin.correct(image, **settings)
    difference = np.abs(upright(result, orientation).astype(int) - expected)
    assert difference.max() <= 1
    assert difference.mean() < 0.01
    guided = drht_plugin.correct(image, device="cpu")
    assert np.abs(guided.astype(int) - expected).mean() > 0.1


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_network_detail_of_panoramas(orientation: int) -> None:
    """Tiles of a panorama that is stored mirrored reach over its seam."""
    image = picture(200, 400, 3, "uint8", 1, (0.0, 0.3))
    settings: dict[str, Any] = {"detail": "network", "tile": 256, "device": "cpu", "wrap": True}
    result = drht_plugin.correct(stored(image, orientation), orientation=orientation, **settings)
    expected = drht_plugin.correct(image, **settings)
    assert np.abs(upright(result, orientation).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("orientation", [0, 9, -1, 1.0, "6", None, True])
def test_no_orientation(orientation: Any) -> None:
    """What is none is refused with what is accepted."""
    with pytest.raises(InputError, match=r"orientation is .*expected a whole number from 1 to 8"):
        STUB.correct(picture(9, 9), orientation=orientation)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_panorama_on_its_side(orientation: int) -> None:
    """Columns of a picture on its side do not go round; it is refused."""
    with pytest.raises(InputError, match="expected 1 to 4 for a panorama"):
        STUB.survey(picture(9, 9), orientation=orientation, wrap=True)


@pytest.fixture(scope="module")
def photo() -> Pixels:
    """A picture that the networks change by much."""
    return picture(130, 190, 3, "uint8", 9, (0.0, 0.35))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_command_and_libvips(photo: Pixels, orientation: int, tmp_path: Path) -> None:
    """The command goes by the file's tag, libvips by the image's field; both keep it."""
    exif = Image.Exif()
    exif[0x112] = orientation
    path = tmp_path / "photo.png"
    Image.fromarray(stored(photo, orientation)).save(path, exif=exif)
    expected = drht_plugin.correct(photo, device="cpu")
    assert (
        main(["correct", str(path), "--device", "cpu", "--quiet", "-o", str(tmp_path / "o.png")])
        == 0
    )
    with Image.open(tmp_path / "o.png") as made:
        assert made.getexif().get(0x112) == orientation
        np.testing.assert_array_equal(upright(np.asarray(made), orientation), expected)
    for access in ("random", "sequential"):
        opened = pyvips.Image.new_from_file(str(path), access=access)
        corrected = vips.correct(opened, device="cpu")
        assert corrected.get("orientation") == orientation
        np.testing.assert_array_equal(upright(corrected.numpy(), orientation), expected)


def test_command_refuses_a_panorama_on_its_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the tag, and nothing is written."""
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(picture(32, 32, 3, "uint8")).save(tmp_path / "a.png", exif=exif)
    assert main(["correct", str(tmp_path / "a.png"), "--wrap", "--device", "cpu"]) == 1
    assert "orientation is 6 and wrap is set" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]
