"""What `correct` refuses, by which words, and what its arguments do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import as_strided
from strategies import (
    corrector,
    picture,
    same,
)

import drht_plugin
from drht_plugin import InputError, Strength, Window
from drht_plugin.engine import plan as plan_module
from drht_plugin.engine.strength import RANGES
from drht_plugin.engine.survey import overview as overview_module
from drht_plugin.engine.survey import sampling as sampling_module

STUB = corrector()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("channels", [None, 2, 3])
def test_not_finite_is_refused_by_place(
    bad: float, dtype: str, channels: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN and infinity are refused with value, row, column and channel, in any band of rows."""
    monkeypatch.setattr(sampling_module, "_BAND_PIXELS", 100)
    image = picture(31, 21, channels, dtype)
    place = (27, 13) if channels is None else (27, 13, channels - 1)
    image[place] = bad
    words = f"holds {bad} at row 27, column 13, channel {(channels or 1) - 1}; expected finite"
    for call in (STUB.correct, STUB.estimate_hdr):
        with pytest.raises(InputError, match=words):
            call(image)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("strength", [0, 1])
def test_not_finite_is_refused_where_the_survey_does_not_look(
    dtype: str, strength: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad value between the rows that the overview reads is refused by its place in the image."""
    monkeypatch.setattr(overview_module, "row_step", lambda height, cells: 9)
    image = picture(31, 21, 3, dtype)
    scene = STUB.survey(image)
    image[27, 13, 1] = np.inf
    assert STUB.survey(image).ldr.tobytes() == scene.ldr.tobytes()
    words = "holds inf at row 27, column 13, channel 1; expected finite"
    with pytest.raises(InputError, match=words):
        STUB.correct(image, strength=strength)
    with pytest.raises(InputError, match=words):
        STUB.estimate_hdr(image)
    with pytest.raises(InputError, match=words):
        drht_plugin.render(
            scene, image[20:, 10:], drht_plugin.Window(20, 10), strength=Strength(strength)
        )


class Foreign:
    """Has a shape and a dtype that numpy does not know."""

    shape = (3, 3)
    dtype = "no such type"


@pytest.mark.parametrize(
    ("image", "given_words"),
    [
        (np.zeros((0, 5), np.uint8), r"\(0, 5\)"),
        (np.zeros((5, 0, 3), np.float32), r"\(5, 0, 3\)"),
        (np.zeros(7, np.uint8), r"\(7,\)"),
        (np.zeros((2, 2, 5), np.uint8), r"\(2, 2, 5\)"),
        (np.zeros((2, 2, 0), np.uint8), r"\(2, 2, 0\)"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"\(1, 2, 2, 3\)"),
        (np.float32(1), r"\(\)"),
        (np.zeros((2, 2), np.int32), "int32"),
        (np.zeros((2, 2), np.float64), "float64"),
        (np.zeros((2, 2), bool), "bool"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), ">u2"), ">u2"),
        (np.zeros((2, 2), object), "object"),
        ([[1, 2], [3, 4]], "a list"),
        (None, "a NoneType"),
        ("photo.jpg", "a str"),
        (torch.zeros(2, 2, dtype=torch.uint8), "a Tensor of torch.uint8"),
        (Foreign(), "no such type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_images_are_refused(image: Any, given_words: str) -> None:
    """What is no image of the contract is refused, saying what was given and what is accepted."""
    for call in (drht_plugin.correct, drht_plugin.estimate_hdr, STUB.correct):
        with pytest.raises(InputError, match=f"{given_words}.*expected") as refused:
            call(image)
        assert "uint8" in str(refused.value) or "1×1" in str(refused.value)


ALIKE = np.zeros((4, 6, 3), np.uint8)
READ_ONLY = ALIKE.copy()
SAME_ROWS = as_strided(np.zeros((1, 6, 3), np.uint8), (4, 6, 3), (0, 3, 1))
NOTHING: list[str] = []
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"transfer": "gamma"}, "transfer is 'gamma'; expected one of srgb, linear"),
        ({"transfer": None}, "transfer is None; expected"),
        ({"detail": "fast"}, "detail is 'fast'; expected one of auto, guided"),
        *(
            ({name: value}, f"{name} is .*; expected a number from {least} to {most}$")
            for name, (least, most) in RANGES.items()
            for value in (least - 0.1, most + 0.01, float("nan"), "1")
        ),
        ({"preset": "vivid"}, "preset is 'vivid'; expected one of natural, strong, shadows-only"),
        ({"preset": ["strong"]}, r"preset is \['strong'\]; expected one of natural"),
        ({"out": np.zeros((4, 6), np.uint8)}, r"out is uint8 \(4, 6\); .* uint8 \(4, 6, 3\)"),
        ({"out": np.zeros((4, 6, 3), np.int8)}, r"out is int8 .*expected an array of uint8"),
        ({"out": [1]}, "out is list; expected an array"),
        ({"out": READ_ONLY}, "out is read-only; expected"),
        ({"out": SAME_ROWS}, "out has pixels that share memory; expected"),
        ({"threads": 0}, "threads is 0; expected a whole number from 1"),
        ({"threads": 1.5}, "threads is 1.5; expected a whole number"),
        ({"device": "abacus"}, "device 'abacus' is unknown; expected auto, cpu"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not on this machine; expected auto, cpu"),
        *(
            ({"wrap": value}, "wrap is .*; expected True or False")
            for value in ("yes", "", "no", 2, 1, 0, None, NOTHING, np.array([True, False]))
        ),
        ({"strength": 10**400}, "strength is 1000.*; expected a number from 0 to 2"),
        ({"strength": True}, "strength is True; expected a number from 0 to 2"),
        ({"threads": True}, "threads is True; expected a whole number from 1"),
        ({"tile": True}, "tile is True; expected a whole number"),
        ({"tile": np.float64(64)}, r"tile is .*64.0.*; expected a whole number"),
        ({"detail": np.array(["auto", "guided"])}, "detail is array.*; expected one of auto"),
        ({"transfer": np.array(["srgb", "linear"])}, "transfer is array.*; expected one of srgb"),
        *(
            ({"backend": value}, "backend is .*; expected one of auto, numba, torch")
            for value in (None, NOTHING, 1, b"numba", np.array(["numba", "torch"]))
        ),
        *(
            ({"device": value}, "device .* is unknown; expected auto, cpu")
            for value in (
                None,
                NOTHING,
                1,
                b"cpu",
                np.array(["cpu"]),
                "",
                "cpu,",
                "cpu;cuda",
            )
        ),
        *(
            ({"model": value}, "model is .*; expected the name of a shipped model, or the path")
            for value in (None, NOTHING, 1, b"default", np.array(["default"]))
        ),
        ({"model": "none-such"}, "model 'none-such' is neither shipped .*default.* nor"),
    ],
    ids=str,
)
def test_other_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    """Arguments out of range are refused, saying what was given and what is accepted."""
    with pytest.raises(InputError, match=words):
        drht_plugin.correct(ALIKE, **arguments)


def test_numpy_numbers_are_numbers() -> None:
    """Where a number is expected, numpy's do as Python's of the same value, to the bit."""
    image = picture(20, 30)
    for kind in (np.float16, np.float32, np.float64):
        for value in (0.5, 0.3, 1.7):
            given: Any = kind(value)
            controls: Any = {"strength": given, "exposure": given, "tint": given}
            same_numbers: Any = {name: float(given) for name in controls}
            assert same(STUB.correct(image, **controls), STUB.correct(image, **same_numbers))
            assert Strength(given) == Strength(float(given))
            assert type(Strength(given).strength) is float
    one: Any = np.int64(1)
    assert same(STUB.correct(image, strength=one), STUB.correct(image))
    for detail, side in (("guided", np.uint8(7)), ("network", np.uint8(200))):
        tiled = STUB.correct(image, detail=detail, tile=int(side))
        assert same(STUB.correct(image, detail=detail, tile=cast(Any, side)), tiled)
    turned = STUB.correct(image, orientation=cast(Any, np.uint8(3)))
    assert same(turned, STUB.correct(image, orientation=3))
    assert drht_plugin.Corrector(threads=cast(Any, np.int64(2))).threads == 2


def test_switches_of_numpy_are_switches(tmp_path: Path) -> None:
    """Numpy's True makes a panorama's scene that can be stored, as Python's does."""
    image = picture(24, 48, 3, "uint8")
    expected = STUB.survey(image, wrap=True)
    scene = STUB.survey(image, wrap=cast(Any, np.bool_(True)))
    scene.save(tmp_path / "a.safetensors")
    assert scene.wrap is True
    assert drht_plugin.Scene.load(tmp_path / "a.safetensors") == expected
    assert same(STUB.correct(image, wrap=cast(Any, np.bool_(True))), STUB.correct(image, wrap=True))


@pytest.mark.parametrize(
    "window",
    [None, (0, 0), Window(1.5, 0), Window("a", 0), Window(0, True), Window(np.float32(0), 0)],  # type: ignore[arg-type]
    ids=str,
)
def test_windows_of_other_types_are_refused(window: Any) -> None:
    """A window is of whole numbers; a fraction would render another place without a word."""
    image = picture(20, 30)
    with pytest.raises(InputError, match=r"the window is .*expected a Window of whole numbers"):
        drht_plugin.render(STUB.survey(image), image[:10, :10], window)


def test_windows_of_numpy_numbers() -> None:
    """Numpy's integers place a window, also the short ones that the image's size goes beyond."""
    image = picture(400, 30)
    scene = STUB.survey(image)
    top: Any = np.uint8(250)
    short = Window(top, 0)
    expected = drht_plugin.render(scene, image)[250:]
    assert same(drht_plugin.render(scene, image[250:], short), expected)


@pytest.mark.parametrize("strength", [0, 0.5, 1, None, "strong"])
def test_a_plain_number_is_no_strength(strength: Any) -> None:
    """Calls that render a scene take a `Strength`, and refuse a number by name."""
    image = picture(20, 30)
    scene = STUB.survey(image)
    for call in (drht_plugin.render, STUB.render):
        with pytest.raises(InputError, match=r"strength is .*; expected a Strength"):
            call(scene, image, strength=strength)
    with pytest.raises(InputError, match=r"strength is .*; expected a Strength"):
        STUB.render_into(scene, image, np.empty_like(image), strength=strength)


@pytest.mark.parametrize("scene", [None, {}, "scene.safetensors"])
def test_what_is_no_scene_is_refused(scene: Any) -> None:
    """Calls that render a scene refuse anything else by its type."""
    image = picture(20, 30)
    for call in (drht_plugin.render, STUB.render, STUB.render_hdr):
        with pytest.raises(InputError, match=r"the scene is a .*; expected a Scene"):
            call(scene, image)


def test_rendering_takes_arrays() -> None:
    """What only gives rows, and is no array, is refused by `render`."""

    class Rows:
        def __init__(self, pixels: Any) -> None:
            self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype

        def __getitem__(self, rows: slice) -> Any:
            return self.pixels[rows]

    image = picture(20, 30)
    rows: Any = Rows(image)
    with pytest.raises(InputError, match="the pixels are a Rows; expected a numpy array"):
        drht_plugin.render(STUB.survey(image), rows)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_out_is_used_and_returned(strength: float) -> None:
    """The result goes into `out`, which is returned, even if it is a view of something else."""
    image = picture(30, 40, 3, "uint8")
    expected = STUB.correct(image, strength=strength)
    whole, frame = np.zeros((30, 40, 3), np.uint8), np.full((36, 90, 3), 77, np.uint8)
    for out in (whole, frame[3:33, 5:85:2]):
        assert STUB.correct(image, strength=strength, out=out) is out
        assert np.array_equal(out, expected)
    frame[3:33, 5:85:2] = 77
    assert (frame == 77).all()


def test_overlapping_out_is_refused() -> None:
    """An `out` that shares memory with the image is refused before anything is written."""
    frame = picture(40, 40, 3, "uint8")
    before = frame.copy()
    for out in (frame[:30], frame[5:35], frame[:30][::-1]):
        with pytest.raises(InputError, match="shares memory"):
            STUB.correct(frame[:30], out=out)
    assert same(frame, before)


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress rises from near 0 to exactly 1, over survey and render."""
    for module in (sampling_module, plan_module):
        monkeypatch.setattr(module, "_BAND_PIXELS", 120)
    for call in (partial(STUB.correct, detail="guided"), STUB.estimate_hdr):
        seen: list[float] = []
        call(picture(60, 40, 3, "uint8"), progress=seen.append)
        assert len(seen) == 40
        assert 0 < seen[0] < 0.05
        assert seen == sorted(seen)
        assert seen[-1] == 1


@pytest.mark.parametrize("last", [1, 15, 30])
def test_what_progress_raises_stops_the_work(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of the callback comes through, and nothing more is done."""
    for module in (sampling_module, plan_module):
        monkeypatch.setattr(module, "_BAND_PIXELS", 120)
    out = np.full((60, 40, 3), 7, np.uint8)
    calls = 0

    def stop(share: float) -> None:
        nonlocal calls
        calls += 1
        if calls == last:
            raise drht_plugin.Cancelled("enough")

    with pytest.raises(drht_plugin.Cancelled, match="enough"):
        STUB.correct(picture(60, 40, 3, "uint8"), detail="guided", out=out, progress=stop)
    assert calls == last
    rendered = max(0, 3 * (last - 20))
    assert (out[rendered:] == 7).all()


@pytest.mark.parametrize("detail", ["guided", "network"])
@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint16", 3), ("float32", 3), ("uint8", 4), ("uint8", None)]
)
def test_a_scene_is_of_one_kind_of_image(detail: str, dtype: str, channels: int | None) -> None:
    """A scene renders no image of another dtype or other channels, in either detail."""
    scene = STUB.survey(picture(40, 50, 3, "uint8"))
    other = picture(40, 50, channels, dtype)
    with pytest.raises(InputError, match="the surveyed image is"):
        STUB.render(scene, other, detail=detail)
    with pytest.raises(InputError, match="the surveyed image is"):
        STUB.render_into(scene, other, np.empty_like(other), detail=detail)


class MaskedRows:
    """Source of masked rows, as some file formats' arrays are."""

    def __init__(self, pixels: Any, mask: Any) -> None:
        self._pixels, self._mask = pixels, mask
        self.shape, self.dtype = pixels.shape, pixels.dtype

    def __getitem__(self, rows: slice) -> Any:
        return np.ma.masked_array(self._pixels[rows], mask=self._mask[rows])


def test_masked_pixels_are_refused() -> None:
    """What a mask hides is not taken for pixels; a mask that hides nothing changes nothing."""
    image = picture(30, 40, 3, "uint8")
    mask = np.zeros(image.shape, bool)
    out, scene = np.empty_like(image), STUB.survey(image)
    for given in (np.ma.masked_array(image, mask=mask), MaskedRows(image, mask)):
        assert same(np.asarray(STUB.correct(given)), STUB.correct(image))
    mask[17, 5] = True
    masked = np.ma.masked_array(image, mask=mask)
    calls: list[Callable[[], Any]] = [
        lambda: STUB.correct(masked),
        lambda: STUB.estimate_hdr(masked),
        lambda: STUB.survey(masked),
        lambda: STUB.stream(MaskedRows(image, mask), out),
        lambda: drht_plugin.render(scene, masked),
        lambda: STUB.render(scene, masked, detail="network"),
    ]
    for call in calls:
        with pytest.raises(InputError, match="masked pixels; expected none"):
            call()


def test_a_sink_has_memory_for_each_pixel() -> None:
    """A sink that is broadcast, so that all rows are one, is refused."""
    with pytest.raises(InputError, match="the sink has pixels that share memory"):
        STUB.stream(ALIKE, SAME_ROWS)
