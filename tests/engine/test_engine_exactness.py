"""Windows of any size, in any order, give the bits that the whole picture has."""

from __future__ import annotations

import copy
import pickle
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Image, corrector, picture

from drht_plugin import InputError, Scene, Strength, Window, render
from drht_plugin.engine import plan as plan_module
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.render.guided import render_radiance
from drht_plugin.engine.survey import overview as overview_module
from drht_plugin.engine.survey import sampling as sampling_module
from drht_plugin.engine.survey.fit_grid import radiance_grid

HEIGHT, WIDTH = 67, 91
KINDS = [(dtype, channels) for dtype in ("uint8", "uint16", "float32") for channels in (None, 3)]
KINDS.append(("float16", 4))
STUB = corrector()

kinds = st.sampled_from(KINDS)


@cache
def surveyed(dtype: str, channels: int | None, wrap: bool) -> tuple[Image, Scene, Image]:
    """A picture with values beyond white where it can have them, its scene, its correction."""
    image = picture(HEIGHT, WIDTH, channels, dtype, span=(0, 1) if dtype[0] == "u" else (-0.1, 1.3))
    scene = STUB.survey(image, wrap=wrap)
    return image, scene, render(scene, image)


@st.composite
def tilings(draw: st.DrawFn) -> list[tuple[slice, slice]]:
    """Windows that cover the picture once, in any order."""

    def cuts(length: int) -> list[slice]:
        inner = draw(st.lists(st.integers(1, length - 1), max_size=4, unique=True))
        ends = [0, *sorted(inner), length]
        return [slice(a, b) for a, b in pairwise(ends)]

    return draw(st.permutations([(r, c) for r in cuts(HEIGHT) for c in cuts(WIDTH)]))


@given(kinds, st.booleans(), tilings())
def test_any_tiling_is_the_whole(
    kind: tuple[str, int | None], wrap: bool, tiling: list[tuple[slice, slice]]
) -> None:
    """Copies of windows, in any tiling and order, give the whole's bits, with and without wrap."""
    image, scene, whole = surveyed(*kind, wrap)
    out = np.zeros_like(image)
    for rows, columns in tiling:
        out[rows, columns] = render(
            scene, image[rows, columns].copy(), Window(rows.start, columns.start)
        )
    assert out.tobytes() == whole.tobytes()


@given(st.sampled_from([("uint8", 3), ("float32", None)]), tilings())
def test_windows_may_be_views(
    kind: tuple[str, int | None], tiling: list[tuple[slice, slice]]
) -> None:
    """Views into the picture, rendered into views of the target, give the whole's bits."""
    image, scene, whole = surveyed(*kind, False)
    out = np.zeros_like(image)
    for rows, columns in tiling:
        target = out[rows, columns]
        place = Window(rows.start, columns.start)
        assert render(scene, image[rows, columns], place, out=target) is target
    assert out.tobytes() == whole.tobytes()


@given(st.sampled_from([("uint8", 3), ("float32", None), ("float16", 4)]), tilings())
def test_any_tiling_of_the_radiance(
    kind: tuple[str, int | None], tiling: list[tuple[slice, slice]]
) -> None:
    """The HDR estimate of windows is that of the whole, bit for bit."""
    image, scene, _ = surveyed(*kind, False)
    grid = radiance_grid(scene)
    whole = render_radiance(scene, image, grid=grid)
    out = np.zeros_like(whole)
    for rows, columns in tiling:
        window = image[rows, columns].copy()
        out[rows, columns] = render_radiance(
            scene, window, Window(rows.start, columns.start), grid=grid
        )
    assert out.tobytes() == whole.tobytes()


@given(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.floats(0, 1), st.floats(0, 1))
def test_single_pixels(row: int, column: int, strength: float, shadows: float) -> None:
    """One pixel by itself is what it is in the whole, at any strength."""
    image, scene, _ = surveyed("uint16", 3, False)
    applied = Strength(strength, shadows, 0.5)
    whole = render(scene, image, strength=applied)
    pixel = image[row : row + 1, column : column + 1].copy()
    result = render(scene, pixel, Window(row, column), strength=applied)
    assert np.array_equal(result[0, 0], whole[row, column])


class Rows:
    """An image that gives bands of rows, whole or every `step`th, from top to bottom alone."""

    def __init__(self, image: Image) -> None:
        self._image, self.shape, self.dtype = image, image.shape, image.dtype
        self.asked: list[int] = []

    def __getitem__(self, rows: slice) -> Image:
        assert isinstance(rows, slice)
        self.asked += range(self.shape[0])[rows]
        return self._image[rows].copy()


@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 3), ("uint16", None), ("float32", 4), ("float16", 2)]
)
@pytest.mark.parametrize("step", [1, 3, 9])
def test_bands_do_not_matter(
    dtype: str, channels: int | None, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overview and the result are the same bits for bands of any size, each read in order."""
    monkeypatch.setattr(overview_module, "row_step", lambda height, cells: step)
    image = picture(HEIGHT, WIDTH, channels, dtype)
    ldr, weight = overview_module.overview(image, spec_of(image))
    expected = STUB.correct(image)
    for rows in (1, 5, 32, HEIGHT):
        for module in (sampling_module, plan_module):
            monkeypatch.setattr(module, "_BAND_PIXELS", rows * WIDTH)
        source = Rows(image)
        again, weight_again = overview_module.overview(source, spec_of(image))
        assert again.tobytes() == ldr.tobytes()
        assert weight_again.tobytes() == weight.tobytes()
        assert source.asked == list(range(step // 2, HEIGHT, step))
        assert STUB.correct(Rows(image)).tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float16"])
def test_memory_layout_does_not_matter(dtype: str) -> None:
    """Views of any strides, read-only and unaligned arrays give the bits of a plain array."""
    image = picture(HEIGHT, WIDTH, 3, dtype)
    expected = STUB.correct(image)
    padded = np.zeros((HEIGHT + 3, 2 * WIDTH, 4), dtype)
    for view in (
        padded[1 : HEIGHT + 1, 2 : WIDTH + 2, :3],
        padded[1 : HEIGHT + 1, ::2, 1:],
        padded[HEIGHT + 1 : 1 : -1, :WIDTH, :3],
        np.zeros((3, WIDTH, HEIGHT), dtype).T,
        np.zeros(image.nbytes + 1, np.uint8)[1:].view(dtype).reshape(image.shape),
    ):
        view[...] = image
        assert STUB.correct(view).tobytes() == expected.tobytes()
        view.flags.writeable = False
        assert STUB.correct(view).tobytes() == expected.tobytes()


def panorama(height: int = 128, width: int = 256) -> Image:
    """A smooth periodic picture, dark on one side, bright on the other, darkest at the seam."""
    x = np.linspace(0, 2 * np.pi, width, endpoint=False)[None, :]
    y = np.linspace(0, np.pi, height)[:, None]
    planes = [0.5 - 0.4 * np.cos(x + 0.2) * np.sin(y + phase) for phase in (0.0, 0.1, 0.25)]
    return np.stack(planes, -1).clip(0, 1).astype(np.float32)


def steps(image: Image) -> tuple[float, float]:
    """The mean step across the seam, and the mean step of the columns beside it."""
    change = np.abs(np.diff(np.concatenate([image[:, -4:], image[:, :4]], 1), axis=1)).mean((0, 2))
    return float(change[3]), float(np.delete(change, 3).mean())


@pytest.mark.parametrize("channels", [None, 3])
def test_wrap_leaves_no_seam(channels: int | None) -> None:
    """With wrap, the step across a panorama's seam is like its neighbours; without, it is not."""
    image = panorama()[..., 1].copy() if channels is None else panorama()
    wrapped = STUB.correct(image, wrap=True).reshape(128, 256, -1)
    plain = STUB.correct(image).reshape(128, 256, -1)
    seam, beside = steps(wrapped)
    assert seam < 1.5 * beside
    seam, beside = steps(plain)
    assert seam > 2 * beside


@given(st.integers(1, 7))
def test_wrap_turns_with_the_panorama(turns: int) -> None:
    """A panorama turned by whole grid cells gives the turned result, within a tenth of a code."""
    image = panorama(180, 360)
    # The overview has 352 columns; 45 columns of the image are 44 of it, 5.5 cells.
    shift = 90 * turns
    turned = STUB.correct(np.roll(image, shift, 1), wrap=True)
    expected = np.roll(STUB.correct(image, wrap=True), shift, 1)
    assert np.abs(turned - expected).max() < 0.1 / 255


def test_scene_is_immutable() -> None:
    """What a scene holds cannot be written to."""
    _, scene, _ = surveyed("uint8", 3, False)
    arrays: list[Any] = [scene.ldr, scene.y, scene.corrected, scene.weight]
    for array in (*arrays, scene.tone.transforms, scene.tone.sides):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(AttributeError):
        scene.wrap = True  # type: ignore[misc]


def test_pickled_scenes_are_the_same() -> None:
    """A scene that comes from another process, or is copied, is equal, and immutable as before."""
    _, scene, _ = surveyed("uint8", 3, False)
    for other in (pickle.loads(pickle.dumps(scene)), copy.deepcopy(scene)):
        assert other == scene
        assert other.tone == scene.tone
        assert hash(other.tone) == hash(scene.tone)
        for array in (other.ldr, other.weight, other.noise, other.tone.transforms):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    _, another, _ = surveyed("uint16", 3, False)
    assert another.tone != scene.tone


@pytest.mark.parametrize(
    ("shape", "dtype", "window", "words"),
    [
        ((HEIGHT, WIDTH, 3), "uint16", Window(), "surveyed image is"),
        ((HEIGHT, WIDTH), "uint8", Window(), "surveyed image is"),
        ((HEIGHT, WIDTH, 4), "uint8", Window(), "surveyed image is"),
        ((HEIGHT, WIDTH, 3), "uint8", Window(1, 0), f"not inside the image of {HEIGHT}×{WIDTH}"),
        ((5, 5, 3), "uint8", Window(-1, 0), "5×5 at .* is not inside"),
        ((5, 5, 3), "uint8", Window(0, WIDTH - 4), "is not inside"),
        ((HEIGHT, WIDTH + 1, 3), "uint8", Window(), "is not inside"),
    ],
)
def test_windows_outside_are_refused(
    shape: tuple[int, ...], dtype: str, window: Window, words: str
) -> None:
    """A window of another kind, or not wholly inside the surveyed image, is refused."""
    _, scene, _ = surveyed("uint8", 3, False)
    with pytest.raises(InputError, match=words):
        render(scene, np.zeros(shape, dtype), window)
    with pytest.raises(InputError, match=words):
        render_radiance(scene, np.zeros(shape, dtype), window, grid=radiance_grid(scene))


def test_render_checks_out() -> None:
    """`render` writes nowhere but into an array of the window's own shape and dtype."""
    image, scene, _ = surveyed("uint8", 3, False)
    frozen = np.zeros_like(image)
    frozen.flags.writeable = False
    for out, words in (
        (np.zeros((1, 1, 3), np.uint8), r"out is uint8 \(1, 1, 3\); expected"),
        (np.zeros(image.shape, np.uint16), "out is uint16"),
        (frozen, "read-only"),
        (image, "shares memory"),
    ):
        with pytest.raises(InputError, match=words):
            render(scene, image, out=out)


def test_whole_images_have_the_surveyed_size() -> None:
    """A corrector renders no other image than the surveyed one: rows would be left unwritten."""
    image, scene, _ = surveyed("uint8", 3, False)
    for other in (image[:10].copy(), image[:, :10].copy(), np.zeros((80, 99, 3), np.uint8)):
        for call in (STUB.render, STUB.render_hdr):
            with pytest.raises(InputError, match="surveyed image has 67×91"):
                call(scene, other)
