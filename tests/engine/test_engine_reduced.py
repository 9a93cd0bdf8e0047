"""Huge files are surveyed by a smaller copy, where their decoder gives one cheaply."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from PIL import Image
from strategies import corrector, picture

import drht_plugin
from drht_plugin import correct_file, vips
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.source import Reducible
from drht_plugin.engine.survey import overview as overview_module
from drht_plugin.engine.survey.overview import overview, overview_size, survey_copy
from drht_plugin.io import open_picture, read_picture

STUB = corrector()
HEIGHT, WIDTH = 2400, 3600


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JPEG that counts as huge."""
    monkeypatch.setattr(overview_module, "_REDUCED_FROM", HEIGHT * WIDTH)
    coarse = Image.fromarray(picture(40, 60, 3, "uint8"))
    pixels = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(int)
    pixels += np.random.default_rng(1).integers(-12, 13, pixels.shape)
    path = tmp_path / "huge.jpg"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=92)
    return path


class Pyramid:
    """An image that knows how small it was asked to be."""

    def __init__(self, height: int, width: int) -> None:
        self.shape, self.dtype = (height, width, 3), np.dtype(np.uint8)
        self.asked: list[int] = []

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        raise NotImplementedError

    def reduced(self, most: int) -> Pyramid | None:
        self.asked.append(most)
        return Pyramid(self.shape[0] // most, self.shape[1] // most) if most < 30 else None


def test_what_is_looked_at() -> None:
    """A huge image is asked for a copy that leaves five rows and columns to an overview pixel."""
    image = Pyramid(25000, 40000)
    assert isinstance(image, Reducible)
    seen = survey_copy(image, spec_of(image))
    rows, columns = overview_size(25000, 40000)
    (most,) = image.asked
    assert seen is not image
    assert min(25000 / most / rows, 40000 / most / columns) >= 5
    assert min(25000 / (most + 1) / rows, 40000 / (most + 1) / columns) < 5
    # Not huge; none to be had; so narrow that no copy has pixels enough.
    for height, width, asked in ((10000, 10000, 0), (65000, 65000, 1), (200, 1400000, 0)):
        other = Pyramid(height, width)
        assert survey_copy(other, spec_of(other)) is other
        assert len(other.asked) == asked


def test_one_scene_for_all_front_ends(photo: Path, tmp_path: Path) -> None:
    """A huge JPEG's smaller copy is read, and file, libvips and array with that scene agree."""
    with open_picture(photo) as file:
        small = file.reduced(3)
        assert small is not None
        assert small.shape == (HEIGHT // 2, WIDTH // 2, 3)
        scene = STUB.survey(file)
    pixels = read_picture(photo).pixels
    whole = STUB.survey(pixels)
    assert scene.spec == whole.spec
    assert not np.array_equal(scene.ldr, whole.ldr)
    assert np.abs(scene.ldr - whole.ldr).mean() < 0.3 / 255
    expected = STUB.render(scene, pixels)
    near = np.abs(expected.astype(int) - STUB.render(whole, pixels))
    assert near.mean() < 0.5
    correct_file(photo, tmp_path / "out.png", corrector=STUB, memory="16M", detail="guided")
    np.testing.assert_array_equal(read_picture(tmp_path / "out.png").pixels, expected)
    opened = pyvips.Image.new_from_file(str(photo), access="sequential")
    surveyed = vips.survey(opened, device="cpu")
    again = pyvips.Image.new_from_file(str(photo), access="sequential")
    lazily = vips.correct(again, detail="guided", device="cpu").numpy()
    np.testing.assert_array_equal(surveyed.ldr, scene.ldr)
    by_array = drht_plugin.Corrector(device="cpu").render(surveyed, pixels, detail="guided")
    np.testing.assert_array_equal(lazily, by_array)


@pytest.mark.parametrize("kept", [{"subifd": True}, {}], ids=["subifds", "pages"])
def test_pyramids_are_surveyed_by_a_level(
    photo: Path, tmp_path: Path, kept: dict[str, bool]
) -> None:
    """A huge TIFF pyramid is surveyed by its levels, by file and in libvips alike."""
    path = tmp_path / "pyramid.tif"
    pyvips.Image.new_from_file(str(photo)).tiffsave(str(path), tile=True, pyramid=True, **kept)
    with open_picture(path) as file:
        small = file.reduced(3)
        assert small is not None
        assert small.shape == (HEIGHT // 2, WIDTH // 2, 3)
        assert file.reduced(1) is None
        scene = STUB.survey(file)
    pixels = read_picture(path).pixels
    whole = STUB.survey(pixels)
    assert scene.spec == whole.spec
    assert not np.array_equal(scene.ldr, whole.ldr)
    assert np.abs(scene.ldr - whole.ldr).mean() < 0.3 / 255
    for access in ("sequential", "random"):
        opened = pyvips.Image.new_from_file(str(path), access=access)
        np.testing.assert_array_equal(vips.survey(opened, device="cpu").ldr, scene.ldr)
    part = opened.crop(0, 0, WIDTH, HEIGHT - 1)
    cut = STUB.survey(pixels[:-1])
    np.testing.assert_array_equal(vips.survey(part, device="cpu").ldr, cut.ldr)


@pytest.mark.parametrize("kind", ["alpha", "float"])
def test_levels_with_alpha_or_of_floats_are_left(kind: str, photo: Path, tmp_path: Path) -> None:
    """Both front ends survey all pixels of what colours under alpha may have been averaged into."""
    path = tmp_path / "other.tif"
    image = pyvips.Image.new_from_file(str(photo))
    other = image.bandjoin(200) if kind == "alpha" else (image / 255).copy(interpretation="rgb")
    other.tiffsave(str(path), tile=True, pyramid=True)
    with open_picture(path) as file:
        assert file.reduced(4) is None
    opened = pyvips.Image.new_from_file(str(path), access="sequential")
    held = pyvips.Image.new_from_file(str(path)).copy_memory()
    seen, whole = (vips.survey(image, device="cpu") for image in (opened, held))
    np.testing.assert_array_equal(seen.ldr, whole.ldr)


def test_levels_of_a_narrow_picture_are_its_own(tmp_path: Path) -> None:
    """Sides rounded down at every halving are still a level's; a replaced file is read anew."""
    path = tmp_path / "narrow.tif"
    random = np.random.default_rng(1)
    pixels = random.integers(0, 99, (63, 1024, 3), np.uint8)
    image = pyvips.Image.new_from_array(pixels)
    image.tiffsave(str(path), tile=True, pyramid=True, tile_width=64, tile_height=64)
    opened = pyvips.Image.new_from_file(str(path), access="sequential")
    assert opened.get_n_pages() > 3
    corrected = vips.correct(opened, detail="guided", device="cpu").numpy()
    np.testing.assert_array_equal(
        corrected, drht_plugin.correct(pixels, detail="guided", device="cpu")
    )
    with open_picture(path) as file:
        assert file.reduced(9) is not None
    image.tiffsave(str(path), tile=True)
    with open_picture(path) as file:
        assert file.reduced(9) is None


def test_pages_that_are_pictures_are_no_levels(photo: Path, tmp_path: Path) -> None:
    """Of a file of several pictures none is taken for a copy of another."""
    path = tmp_path / "pages.tif"
    first = pyvips.Image.new_from_file(str(photo))
    pages = first.join(first.invert(), "vertical")
    pages.copy().tiffsave(str(path), page_height=first.height)
    opened = pyvips.Image.new_from_file(str(path))
    assert (opened.get_n_pages(), opened.height) == (2, HEIGHT)
    whole = STUB.survey(read_picture(photo).pixels)
    np.testing.assert_array_equal(vips.survey(opened, device="cpu").ldr, whole.ldr)
    with pytest.raises(drht_plugin.InputError, match="read sequentially"):
        vips.correct(pyvips.Image.new_from_file(str(path), access="sequential"))


def test_panoramas_and_other_formats_are_read_whole(photo: Path, tmp_path: Path) -> None:
    """A wrapped picture goes by all columns, and formats without a cheap copy by all rows."""
    pixels = read_picture(photo).pixels
    with open_picture(photo) as file:
        scene = STUB.survey(file, wrap=True)
    np.testing.assert_array_equal(scene.ldr, STUB.survey(pixels, wrap=True).ldr)
    Image.fromarray(pixels).save(tmp_path / "same.png", compress_level=1)
    with open_picture(tmp_path / "same.png") as file:
        assert file.reduced(8) is None
        np.testing.assert_array_equal(STUB.survey(file).ldr, STUB.survey(pixels).ldr)


def test_weights_count_the_copys_pixels() -> None:
    """The overview of a smaller copy has whole weights, and the size that the image's has."""
    small = picture(300, 500, 3, "uint8")
    kind = spec_of(np.broadcast_to(np.uint8(0), (3000, 5000, 3)))
    ldr, weight = overview(small, kind)
    assert ldr.shape[:2] == overview_size(3000, 5000)
    np.testing.assert_allclose(weight, 1, atol=1e-5)
