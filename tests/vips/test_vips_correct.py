"""`drht_plugin.vips.correct`: a lazy image with the pixels of `drht_plugin.correct`."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from strategies import corrector

import drht_plugin
from drht_plugin import Scene, vips
from drht_plugin.errors import Cancelled, InputError, ReadError
from drht_plugin.geometry import Region
from drht_plugin.libvips.lazy import Header, Pixels, generate
from drht_plugin.vips._coding import coding_of
from drht_plugin.vips._survey import Opener, Rows

STUB = corrector()
INTERPRETATIONS = {
    ("uint8", 1): "b-w",
    ("uint8", 3): "srgb",
    ("uint16", 1): "grey16",
    ("uint16", 3): "rgb16",
    ("float32", 1): "multiband",
    ("float32", 3): "multiband",
}


@pytest.fixture(autouse=True)
def _no_cache() -> Iterator[None]:
    before = pyvips.cache_get_max()
    pyvips.cache_set_max(0)
    yield
    pyvips.cache_set_max(before)


def picture(height: int, width: int, bands: int = 3, dtype: str = "uint8", seed: int = 3) -> Pixels:
    """A dark ramp with structure and noise; alpha with holes."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 0.4, width)[None, :, None] * np.linspace(0.3, 1, height)[:, None, None]
    waves = 0.05 * np.sin(np.arange(height) / 9)[:, None, None]
    array = ramp + waves + random.normal(0, 0.02, (height, width, bands)) + 0.05
    if bands in (2, 4):
        array[..., -1] = random.integers(0, 2, (height, width))
    array = array.clip(0, 1)
    if dtype == "float32":
        return array.astype(np.float32)
    return np.rint(array * np.iinfo(dtype).max).astype(dtype)


def image_of(array: Pixels) -> pyvips.Image:
    image = pyvips.Image.new_from_array(array)
    colours = 3 if array.shape[2] > 2 else 1
    return image.copy(interpretation=INTERPRETATIONS[array.dtype.name, colours])


def pixels_of(image: pyvips.Image) -> Pixels:
    return image.numpy().reshape(image.height, image.width, image.bands)


def partition(windows: list[Region], height: int, width: int) -> bool:
    """Whether the windows cover an image, each pixel once."""
    covered = np.zeros((height, width), np.uint8)
    for w in windows:
        covered[w.top : w.bottom, w.left : w.right] += 1
    return bool((covered == 1).all())


def enlarged(scene: Scene, height: int, width: int) -> Scene:
    """The scene as if its image had another size."""
    return dataclasses.replace(
        scene, spec=dataclasses.replace(scene.spec, height=height, width=width)
    )


@pytest.fixture(scope="module")
def scene() -> Scene:
    return vips.survey(image_of(picture(150, 200)))


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("uint16", 4), ("float32", 1)])
def test_equals_arrays(dtype: str, bands: int) -> None:
    """The pixels are those of `drht_plugin.correct`, bit for bit."""
    array = picture(190, 340, bands, dtype)
    settings: dict[str, Any] = {"wrap": True, "shadows": 0.7, "highlights": 0.4}
    corrected = vips.correct(image_of(array), **settings)
    np.testing.assert_array_equal(pixels_of(corrected), drht_plugin.correct(array, **settings))


@given(
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    bands=st.integers(1, 4),
    height=st.integers(1, 150),
    width=st.integers(1, 700),
    transfer=st.sampled_from(["srgb", "linear"]),
    wrap=st.booleans(),
)
def test_equals_arrays_of_any_kind(
    dtype: str, bands: int, height: int, width: int, transfer: str, wrap: bool
) -> None:
    """Survey and render of any kind of image are those of the array, bit for bit."""
    array = picture(height, width, bands, dtype)
    image = image_of(array)
    scene = STUB.survey(array, transfer=transfer, wrap=wrap)
    seen = STUB.survey(
        Rows(Opener(lambda: image), coding_of(image, transfer)), transfer=transfer, wrap=wrap
    )
    np.testing.assert_array_equal(seen.ldr, scene.ldr)
    np.testing.assert_array_equal(seen.tone.transforms, scene.tone.transforms)
    corrected = vips.correct(image, scene=scene)
    np.testing.assert_array_equal(pixels_of(corrected), STUB.render(scene, array))
    for fact in ("format", "interpretation", "bands", "width", "height"):
        assert getattr(corrected, fact) == getattr(image, fact)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".v"])
@pytest.mark.parametrize("access", ["random", "sequential"])
def test_equals_arrays_from_files(tmp_path: Path, suffix: str, access: str) -> None:
    """So it is for files, which a sequential image reads twice."""
    path = tmp_path / f"picture{suffix}"
    image_of(picture(700, 900)).write_to_file(str(path))
    windows: list[Region] = []
    corrected = vips.correct(
        pyvips.Image.new_from_file(str(path), access=access), wrap=True, observe=windows.append
    )
    array = pixels_of(pyvips.Image.new_from_file(str(path)))
    np.testing.assert_array_equal(pixels_of(corrected), drht_plugin.correct(array, wrap=True))
    assert partition(windows, 700, 900)


def test_crop_touches_its_tiles(scene: Scene) -> None:
    """256×256 of a 40000×30000 image: at most four windows are rendered, nothing else is read."""
    read: list[Region] = []

    def made(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        read.append(window)
        return np.full((window.height, window.width, 3), 40, np.uint8)

    source = generate(Header(40000, 30000, 3, "uchar", "srgb"), made)
    windows: list[Region] = []
    large = vips.correct(source, scene=enlarged(scene, 30000, 40000), observe=windows.append)
    assert (read, windows) == ([], [])
    large.crop(20000, 15000, 256, 256).avg()
    assert 1 <= len(windows) <= 4
    assert all(w.height <= 256 and w.width <= 256 for w in windows)
    assert sum(r.height * r.width for r in read) == sum(w.height * w.width for w in windows)


SINKS: dict[str, Callable[[pyvips.Image, Path], object]] = {
    "tiff": lambda image, path: image.write_to_file(str(path / "a.tif")),
    "tiled tiff": lambda image, path: image.write_to_file(str(path / "a.tif"), tile=True),
    "pyramid": lambda image, path: image.write_to_file(
        str(path / "a.tif"), tile=True, pyramid=True
    ),
    "jpeg": lambda image, path: image.write_to_file(str(path / "a.jpg")),
    "png": lambda image, path: image.write_to_file(str(path / "a.png")),
    "dzsave": lambda image, path: image.dzsave(str(path / "a")),
    "resize": lambda image, path: image.resize(0.1).write_to_file(str(path / "a.tif")),
    "memory": lambda image, path: image.numpy(),
}


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("access", ["random", "sequential"])
def test_each_tile_once(tmp_path: Path, scene: Scene, sink: str, access: str) -> None:
    """A whole write renders each pixel exactly once, whatever the sink."""
    height, width = 1300, 2100
    path = tmp_path / "source.png"
    image_of(picture(height, width)).write_to_file(str(path), compression=1)
    source = pyvips.Image.new_from_file(str(path), access=access)
    windows: list[Region] = []
    corrected = vips.correct(source, scene=enlarged(scene, height, width), observe=windows.append)
    SINKS[sink](corrected, tmp_path)
    assert partition(windows, height, width)


def test_survey_is_shared_and_late() -> None:
    """Corrections of one image survey it once, when the first pixel is asked for."""
    array = picture(300, 400)
    read: list[Region] = []

    def made(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        read.append(window)
        return array[window.top : window.bottom, window.left : window.right]

    source = generate(Header(400, 300, 3, "uchar", "srgb"), made)
    gentle, full = vips.correct(source, strength=0.5), vips.correct(source)
    assert read == []
    corner = gentle.crop(0, 0, 16, 16).numpy()
    surveyed = sum(r.height * r.width for r in read)
    assert surveyed >= 300 * 400
    read.clear()
    np.testing.assert_array_equal(full.numpy(), drht_plugin.correct(array))
    assert sum(r.height * r.width for r in read) == 300 * 400
    np.testing.assert_array_equal(corner, drht_plugin.correct(array, strength=0.5)[:16, :16])


def test_strength_zero_is_the_input() -> None:
    """Strength 0 gives the input back, bit for bit, and does not even survey it."""
    array = picture(60, 80, dtype="float32") * 200
    image = pyvips.Image.new_from_array(array).copy(interpretation="srgb")
    np.testing.assert_array_equal(vips.correct(image, strength=0).numpy(), array)


@pytest.mark.parametrize("interpretation", ["srgb", "rgb16"])
def test_floats_in_integer_ranges(interpretation: str) -> None:
    """Floats of sRGB and RGB16 have their white where libvips has it; alpha stays bit for bit."""
    white = {"srgb": 255, "rgb16": 65535}[interpretation]
    array = picture(90, 120, 4, "float32")
    alpha = np.random.default_rng(1).random((90, 120), np.float32) * white
    scaled = array * np.float32(white)
    scaled[..., 3] = alpha
    image = pyvips.Image.new_from_array(scaled).copy(interpretation=interpretation)
    corrected = vips.correct(image).numpy()
    expected = drht_plugin.correct((scaled / white).astype(np.float32))
    np.testing.assert_allclose(corrected[..., :3] / white, expected[..., :3], atol=1e-6)
    np.testing.assert_array_equal(corrected[..., 3], alpha)


def test_double_is_float() -> None:
    """Double comes back as double, corrected as float."""
    array = picture(50, 60, dtype="float32")
    image = pyvips.Image.new_from_array(array.astype(np.float64)).copy(interpretation="multiband")
    corrected = vips.correct(image)
    assert corrected.format == "double"
    np.testing.assert_array_equal(corrected.numpy(), drht_plugin.correct(array).astype(np.float64))


def test_scrgb_is_linear() -> None:
    """The values of scRGB are scene-linear, unless the caller says otherwise."""
    array = picture(70, 90, dtype="float32")
    image = pyvips.Image.new_from_array(array).copy(interpretation="scrgb")
    np.testing.assert_array_equal(
        vips.correct(image).numpy(), drht_plugin.correct(array, transfer="linear")
    )
    np.testing.assert_array_equal(
        vips.correct(image, transfer="srgb").numpy(), drht_plugin.correct(array)
    )


@pytest.mark.parametrize("space", ["lab", "labs", "labq", "lch", "xyz", "hsv", "rad"])
def test_other_spaces_come_back(space: str) -> None:
    """LAB, XYZ, HSV and their kin come back as they were, with the pixels of the same in scRGB."""
    plain = image_of(picture(80, 100))
    given = plain.colourspace("scrgb").float2rad() if space == "rad" else plain.colourspace(space)
    corrected = vips.correct(given)
    for fact in ("format", "interpretation", "coding", "bands"):
        assert getattr(corrected, fact) == getattr(given, fact)
    linear = given.rad2float() if space == "rad" else given.colourspace("scrgb")
    back = corrected.rad2float() if space == "rad" else corrected
    shown = back.colourspace("srgb").numpy().astype(int)
    expected = vips.correct(linear).colourspace("srgb").numpy().astype(int)
    assert np.abs(shown - expected).mean() < (3 if space == "labq" else 0.5)


def test_metadata_goes_along(tmp_path: Path) -> None:
    """Profile, EXIF, XMP, orientation and resolution are those of the source."""
    source = image_of(picture(40, 50)).copy(xres=11.811, yres=11.811)
    profile = (
        pyvips.Image.black(1, 1)
        .copy(interpretation="srgb")
        .icc_export(output_profile="p3")
        .get("icc-profile-data")
    )
    source.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    source.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta/>")
    source.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "Somebody")
    source.set_type(pyvips.GValue.gint_type, "orientation", 6)
    source.write_to_file(str(tmp_path / "a.jpg"))
    opened = pyvips.Image.new_from_file(str(tmp_path / "a.jpg"))
    vips.correct(opened).write_to_file(str(tmp_path / "b.jpg"))
    written = pyvips.Image.new_from_file(str(tmp_path / "b.jpg"))
    for name in ("icc-profile-data", "xmp-data", "exif-ifd0-Artist", "orientation", "xres"):
        assert written.get(name) == opened.get(name)


@pytest.mark.parametrize("shift", [1, 77, 450])
def test_panorama_shifts_exactly(shift: int) -> None:
    """A panorama that is shifted by any number of columns gives the shifted result, exactly."""
    array = picture(300, 600)
    plain = vips.correct(image_of(array), wrap=True).numpy()
    moved = vips.correct(image_of(np.roll(array, shift, 1)), wrap=True).numpy()
    np.testing.assert_array_equal(np.roll(plain, shift, 1), moved)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: np.zeros((3, 3, 3), np.uint8), "ndarray.*expected a pyvips.Image"),
        (lambda: image_of(picture(9, 9, 4)).copy(interpretation="cmyk"), "cmyk.*icc_transform"),
        (lambda: image_of(picture(9, 9)).copy(interpretation="fourier"), "fourier"),
        (lambda: image_of(picture(9, 9)).cast("short"), "short.*cast"),
        (lambda: image_of(picture(9, 9)).cast("complex"), "complex"),
        (lambda: image_of(picture(9, 9)).bandjoin([1, 2]), "5 bands"),
    ],
)
def test_refused_images(given: Callable[[], Any], words: str) -> None:
    """What cannot be corrected is refused at once, by name and with a remedy."""
    with pytest.raises(InputError, match=words):
        vips.correct(given())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": 2.5}, "strength is 2.5"),
        ({"shadows": "much"}, "shadows is 'much'"),
        ({"detail": "fine"}, "detail is 'fine'"),
        ({"transfer": "gamma"}, "transfer is 'gamma'"),
        ({"wrap": "yes"}, "wrap is 'yes'; expected True or False"),
        ({"wrap": 2}, "wrap is 2; expected True or False"),
        ({"device": "abacus"}, "device 'abacus' is unknown"),
        ({"device": None}, "device None is unknown"),
        ({"backend": "x"}, "backend is 'x'; expected one of"),
        ({"model": b"default"}, "model is b'default'; expected"),
    ],
)
def test_refused_arguments(settings: dict[str, Any], words: str) -> None:
    """Arguments are checked before libvips sees them, by the function and by the method."""
    vips.register()
    with pytest.raises(InputError, match=words):
        vips.correct(image_of(picture(9, 9)), **settings)
    with pytest.raises(InputError, match=words):
        image_of(picture(9, 9)).drht_correct(**settings)


def test_scene_of_another_image(scene: Scene) -> None:
    """A scene serves images of its own size and kind only."""
    with pytest.raises(InputError, match="the scene is that of"):
        vips.correct(image_of(picture(150, 201)), scene=scene)
    with pytest.raises(InputError, match="the scene is a str; expected a Scene"):
        vips.correct(image_of(picture(9, 9)), scene=cast(Any, "scene.safetensors"))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_file_that_is_replaced_before_its_survey(suffix: str, tmp_path: Path) -> None:
    """A sequential file is opened twice: another picture there is refused, not surveyed for it."""
    path = tmp_path / f"a{suffix}"
    image_of(picture(60, 80, 3, "uint8")).write_to_file(str(path))
    opened = pyvips.Image.new_from_file(str(path), access="sequential")
    corrected = vips.correct(opened)
    image_of(picture(60, 80, 3, "uint8", 5)).write_to_file(str(tmp_path / f"b{suffix}"))
    (tmp_path / f"b{suffix}").replace(path)
    with pytest.raises(ReadError, match=f"a{suffix}: was changed since it was opened"):
        vips.run(corrected, corrected.write_to_memory)


def test_sequential_images_that_cannot_be_read_twice(tmp_path: Path) -> None:
    """They are refused with the remedy, which works."""
    path = str(tmp_path / "a.jpg")
    sample = image_of(picture(64, 64))
    sample.set_type(pyvips.GValue.gint_type, "orientation", 6)
    sample.write_to_file(path)

    def opened(**options: Any) -> pyvips.Image:
        return pyvips.Image.new_from_file(path, access="sequential", **options)

    for refused, why in (
        (opened().crop(0, 0, 32, 32), "not a file just opened"),
        (opened(shrink=2), "without the loader's options"),
        (opened(autorotate=True), "without the loader's options|not a file just opened"),
    ):
        with pytest.raises(InputError, match=f"{why}.*access='random'.*scene="):
            vips.correct(refused)
    scene = vips.survey(opened().crop(0, 0, 32, 32))
    expected = drht_plugin.correct(opened().crop(0, 0, 32, 32).numpy(), orientation=6)
    corrected = vips.correct(opened().crop(0, 0, 32, 32), scene=scene)
    np.testing.assert_array_equal(corrected.numpy(), expected)


def test_bad_values_name_their_place() -> None:
    """NaN ends the sink; `run` raises the engine's own error, a plain sink says it."""
    array = picture(40, 50, dtype="float32")
    array[7, 8, 1] = np.nan
    corrected = vips.correct(image_of(array))
    with pytest.raises(InputError, match="nan at row 7, column 8, channel 1"):
        vips.run(corrected, corrected.avg)
    with pytest.raises(pyvips.Error, match="nan at row 7, column 8, channel 1"):
        corrected.avg()


def test_kill_during_the_survey() -> None:
    """`set_kill` is heard while the image is still being surveyed."""
    rows = 2000
    read: list[int] = []

    def slow(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        read.append(window.height if window.width == 65536 else 0)
        if len(read) == 30:
            corrected.set_kill(True)
        return np.full((window.height, window.width, 3), 40, np.uint8)

    source = generate(Header(65536, rows, 3, "uchar", "srgb"), slow)
    corrected = vips.correct(source)
    with pytest.raises(Cancelled):
        vips.run(corrected, corrected.avg)
    assert 0 < sum(read) < rows


def test_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """`write` leaves a whole file, or what was there before and nothing else."""
    target = tmp_path / "a.tif"
    good = image_of(picture(40, 50))
    vips.write(vips.correct(good), target, compression="deflate")
    whole = target.read_bytes()
    np.testing.assert_array_equal(
        pyvips.Image.new_from_file(str(target)).numpy(), drht_plugin.correct(picture(40, 50))
    )
    array = picture(40, 50, dtype="float32")
    array[30] = np.inf
    with pytest.raises(InputError, match="inf at row 30"):
        vips.write(vips.correct(image_of(array)), target)
    assert target.read_bytes() == whole
    with pytest.raises(drht_plugin.WriteError, match=r"b\.tif: cannot be written"):
        vips.write(good, tmp_path / "absent" / "b.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif"]
