"""The overview against a plain area average, and its size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import corrector, display, picture, seeds

from drht_plugin.bridge import transfer
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.survey.overview import overview, overview_size, row_step

Float = npt.NDArray[np.float64]


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_overview_size(height: int, width: int) -> None:
    """Multiples of 32 in 128..512; area and aspect are kept where the limits allow."""
    rows, columns = overview_size(height, width)
    for side in (rows, columns):
        assert side % 32 == 0
        assert 128 <= side <= 512
    assert overview_size(width, height) == (columns, rows)
    if 0.3 < height / width < 3.3:
        assert 0.85 < (rows * columns) ** 0.5 / 256 < 1.1
        assert abs(np.log2(rows / columns * width / height)) < 0.3


def test_overview_size_of_usual_pictures() -> None:
    """Squares are 256², 3:2 photographs 320×224, panoramas 352×192, slivers 512×128."""
    assert overview_size(5000, 5000) == (256, 256)
    assert overview_size(4000, 6000) == (224, 320)
    assert overview_size(8192, 16384) == (192, 352)
    assert overview_size(1, 5000) == (128, 512)


@given(st.integers(1, 10**6), st.sampled_from([128, 256, 512]))
def test_row_step(height: int, cells: int) -> None:
    """Steps are odd, and leave 5 rows at least to an overview pixel of 5 rows or more."""
    step = row_step(height, cells)
    assert step % 2 == 1
    assert step == 1 or 5 * step <= height / cells < 5 * (step + 2)


def test_row_step_of_usual_pictures() -> None:
    """12 megapixels are read whole, of 24 every third row, of a gigapixel every 25th."""
    assert row_step(3000, overview_size(3000, 4000)[0]) == 1
    assert row_step(4000, overview_size(4000, 6000)[0]) == 3
    assert row_step(25000, overview_size(25000, 40000)[0]) == 25


def shares(cells: int, pixels: int) -> Float:
    """How much of each pixel lies under each cell of the overview, cells×pixels."""
    edges = np.arange(cells + 1) * pixels / cells
    above = np.maximum(edges[:-1, None], np.arange(pixels)[None])
    below = np.minimum(edges[1:, None], np.arange(1, pixels + 1)[None])
    return np.maximum(below - above, 0)


def averaged(codes: Float, counts: Float, linear: bool) -> tuple[Float, Float]:
    """Area average of display codes in linear light, encoded; and the share that counted."""
    size = overview_size(*counts.shape)
    down, across = (shares(n, length) for n, length in zip(size, counts.shape, strict=True))
    area = down @ counts @ across.T
    light = codes.clip(0, 1) if linear else transfer.srgb_decode(codes.clip(0, 1))
    planes = [down @ (light[..., c] * counts) @ across.T for c in range(light.shape[2])]
    mean = np.stack(planes, -1) / np.maximum(area, 1e-12)[..., None]
    cell = counts.size / (size[0] * size[1])
    return transfer.srgb_encode(mean).astype(np.float64), area / cell


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([1, 3]),
    st.booleans(),
    seeds,
)
def test_overview_is_an_area_average(
    size: tuple[int, int], dtype: str, channels: int, linear: bool, seed: int
) -> None:
    """The overview is the plain area average in linear light, of light in 65536 steps at most."""
    span = (0.0, 1.0) if dtype[0] == "u" else (-0.2, 1.4)
    image = picture(*size, channels, dtype, seed, span)
    ldr, weight = overview(image, spec_of(image, "linear" if linear else "srgb"))
    expected, _ = averaged(display(image), np.ones(size), linear)
    assert ldr.shape == (*overview_size(*size), 3)
    assert ldr.dtype == np.float32
    # Half a step of linear light is 1e-4 in code next to black.
    assert np.abs(ldr - expected).max() < (1.1e-4 if linear else 1e-5)
    np.testing.assert_allclose(weight, 1, atol=1e-5)


@pytest.mark.parametrize("height", [1930, 1927])
@pytest.mark.parametrize(("dtype", "alpha"), [("uint8", False), ("float32", True)])
def test_sampled_rows_stand_for_their_surroundings(height: int, dtype: str, alpha: bool) -> None:
    """Of a tall image, every third row is averaged, each for three; the last for the rest too."""
    image = picture(height, 9700, 2 if alpha else 1, dtype)
    if alpha:
        image[:, :7000, 1] = 0
    as_read = np.empty_like(image)
    for row in range(height):
        as_read[row] = image[min(row // 3 * 3 + 1, range(1, height, 3)[-1])]
    counts = (as_read[..., -1] != 0).astype(np.float64) if alpha else np.ones(image.shape[:2])
    kind = spec_of(image)
    assert row_step(height, overview_size(height, 9700)[0]) == 3
    ldr, weight = overview(image, kind)
    expected, share = averaged(display(as_read)[..., :1], counts, False)
    full = share > 1e-6
    assert np.abs(ldr[..., :1] - expected)[full].max() < 2e-5
    np.testing.assert_allclose(weight, share, atol=1e-5)
    # The rows in between weigh in nowhere.
    image[0::3] = image[2::3] = 0
    again, _ = overview(image, kind)
    assert again.tobytes() == ldr.tobytes()


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_alpha_does_not_count(dtype: str, channels: int) -> None:
    """Cells average the pixels with alpha alone, and know their share."""
    image = picture(300, 400, channels, dtype)
    counts = (image[..., -1] != 0).astype(np.float64)
    ldr, weight = overview(image, spec_of(image))
    expected, share = averaged(display(image)[..., :-1], counts, False)
    full = share > 1e-6
    assert full.mean() > 0.5
    assert np.abs(ldr - expected)[full].max() < 1e-5
    np.testing.assert_allclose(weight, share, atol=1e-5)


def test_holes_are_filled_from_around() -> None:
    """A transparent hole takes the colours of its surroundings, side by side as they lie."""
    image = np.zeros((256, 256, 4), np.float32)
    image[:, :128] = (0.2, 0.3, 0.4, 1)
    image[:, 128:] = (0.8, 0.7, 0.6, 1)
    image[64:192, 32:224] = (9, 9, 9, 0)
    ldr, weight = overview(image, spec_of(image))
    hole = weight == 0
    assert hole[64:192, 32:224].all()
    assert hole.sum() == 128 * 192
    assert np.abs(ldr[hole][:, 0] - 0.5).max() < 0.31
    np.testing.assert_allclose(ldr[100, 36], (0.2, 0.3, 0.4), atol=0.05)
    np.testing.assert_allclose(ldr[100, 220], (0.8, 0.7, 0.6), atol=0.05)
    image[:, 128:, :3] = (0.2, 0.3, 0.4)
    ldr, _ = overview(image, spec_of(image))
    np.testing.assert_allclose(ldr, np.broadcast_to(ldr[0, 0], ldr.shape), atol=1e-4)


def test_one_visible_pixel() -> None:
    """A single visible pixel fills the whole overview with its colour."""
    image = np.zeros((50, 60, 4), np.uint8)
    image[33, 7] = (40, 90, 200, 255)
    ldr, weight = overview(image, spec_of(image))
    np.testing.assert_allclose(
        ldr, np.broadcast_to(display(image)[33, 7, :3], ldr.shape), atol=1e-5
    )
    assert abs(weight.mean() - 1 / 3000) < 1e-7


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wrap", [False, True])
def test_scene_of_a_picture(channels: int, wrap: bool) -> None:
    """A scene has overviews of one size; T in 0..1; gray pictures have gray overviews."""
    image = picture(150, 300, channels, "uint8")
    scene = corrector().survey(image, wrap=wrap)
    size = overview_size(150, 300)
    assert scene.ldr.shape == scene.y.shape == scene.corrected.shape == (*size, 3)
    assert scene.weight.shape == size
    assert scene.wrap == wrap
    assert scene.corrected.min() >= 0
    assert scene.corrected.max() <= 1
    for plane in (scene.ldr, scene.y, scene.corrected):
        assert (np.ptp(plane, axis=-1).max() == 0) == (channels == 1)
