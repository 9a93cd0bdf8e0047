"""Windows of a picture, which a client shows while the whole stays where it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import picture
from test_worker_process import Client, client

import drht_plugin
from drht_plugin.geometry import Region
from drht_plugin.worker.windows import area_means

Image = npt.NDArray[Any]


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(["uint8", "uint16", "float32"]),
    st.data(),
)  # fmt: skip
def test_area_means_keep_the_mean(height: int, width: int, dtype: str, data: st.DataObject) -> None:
    """Each pixel is the mean over its area, whatever the ratio; a part is cut from the whole."""
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    image = picture(height, width, 3, dtype, 1, (0.0, 1.0))
    whole = area_means(image, (rows, columns), Region(0, 0, rows, columns))
    assert (whole.shape, whole.dtype) == ((rows, columns, 3), image.dtype)
    # Pixels repeated to a common size give the same means, by blocks.
    repeated = image.astype(float).repeat(rows, 0).repeat(columns, 1)
    blocks = repeated.reshape(rows, height, columns, width, 3).mean((1, 3))
    most = 0.51 if dtype != "float32" else 1e-5
    assert np.abs(whole - blocks).max() <= most
    top, left = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    part = area_means(image, (rows, columns), Region(top, left, rows - top, columns - left))
    np.testing.assert_allclose(part, whole[top:, left:], atol=most)


class Pictures:
    """A worker with a picture that has been surveyed, and windows of it."""

    def __init__(self, worker: Client, image: Image) -> None:
        self.worker, self._dtype = worker, image.dtype
        place = worker.allocate(image)
        self.file = open(place["path"], "r+b")  # noqa: SIM115
        self.file.write(image.tobytes())
        self.file.flush()
        self.survey(wrap=False)

    def survey(self, wrap: bool) -> None:
        """Survey the picture."""
        reply = self.worker.ask(type="survey", picture=0, transfer="srgb", wrap=wrap)
        assert reply["type"] == "done", reply

    def show(self, region: Region, size: tuple[int, int], **settings: Any) -> tuple[Image, Image]:
        """The pixels of a window of the picture in a size, and its result."""
        shape = region.height, region.width, 3
        into = self.worker.allocate(np.empty(shape, self._dtype))
        with open(into["path"], "rb") as file:
            request = {"height": size[0], "width": size[1], "top": region.top, "left": region.left}
            number = into["picture"]
            self.worker.ask(type="window", picture=0, into=number, **request)
            assert self.worker.render(number, **settings)["type"] == "done"
            self.worker.ask(type="release", picture=number)
            count = int(np.prod(shape)) * self._dtype.itemsize
            pixels = file.read(count)
            file.seek(into["result"])
            return tuple(  # type: ignore[return-value]
                np.frombuffer(data, self._dtype).reshape(shape)
                for data in (pixels, file.read(count))
            )


IMAGE = picture(150, 210, 3, "uint16", 0, (0.0, 0.4))


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    """A worker that has surveyed a picture."""
    with client() as worker:
        made = Pictures(worker, IMAGE)
        with made.file:
            yield made


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("detail", ["guided", "network"])
def test_a_window_has_the_pixels_of_the_whole(pictures: Pictures, wrap: bool, detail: str) -> None:
    """In the picture's own size a window is the part of correct(), also beside the edges."""
    pictures.survey(wrap)
    whole = drht_plugin.correct(IMAGE, wrap=wrap, detail=detail, strength=1.5)
    for region in (Region(0, 0, 40, 30), Region(33, 71, 64, 90), Region(110, 160, 40, 50)):
        inside = slice(region.top, region.bottom), slice(region.left, region.right)
        pixels, result = pictures.show(region, IMAGE.shape[:2], detail=detail, strength=1.5)
        np.testing.assert_array_equal(pixels, IMAGE[inside])
        # Convolutions round by how the network's tiles are cut: less than an 8-bit code.
        most = 257 if detail == "network" else 0
        assert np.abs(result.astype(int) - whole[inside]).max() <= most


def test_a_smaller_view_shows_the_same_tone(pictures: Pictures) -> None:
    """A window of the picture in half its size looks as the whole result made smaller."""
    pictures.survey(wrap=False)
    region = Region(20, 30, 50, 60)
    pixels, result = pictures.show(region, (75, 105), detail="auto")
    inside = slice(20, 70), slice(30, 90)
    halves = (each.reshape(75, 2, 105, 2, 3).mean((1, 3))[inside] for each in (
        IMAGE.astype(float), drht_plugin.correct(IMAGE).astype(float)
    ))  # fmt: skip
    small, expected = halves
    assert np.abs(pixels - small).max() <= 0.5
    assert np.abs(result - expected).mean() < 4 * 257
    assert np.abs(result - small).mean() > 20 * 257


def test_rows_of_a_window_are_rendered_alone(pictures: Pictures) -> None:
    """Rows leave the others as they are, and together give the whole window."""
    pictures.survey(wrap=False)
    into = pictures.worker.allocate(np.empty((40, 50, 3), np.uint16))
    with open(into["path"], "rb") as file:
        number = into["picture"]
        pictures.worker.ask(
            type="window", picture=0, into=number, height=150, width=210, top=9, left=7
        )
        results = []
        for rows in ([0, 15], [15, 40]):
            assert pictures.worker.render(number, rows=rows)["type"] == "done"
            file.seek(into["result"])
            results.append(np.frombuffer(file.read(40 * 50 * 6), np.uint16).reshape(40, 50, 3))
        whole = drht_plugin.correct(IMAGE)[9:49, 7:57]
        np.testing.assert_array_equal(results[0][:15], whole[:15])
        assert not results[0][15:].any()
        np.testing.assert_array_equal(results[1], whole)
        pictures.worker.ask(type="release", picture=number)


def test_released_numbers_are_used_again(pictures: Pictures) -> None:
    """Any number of windows can follow each other, and no file has a name left."""
    for side in range(10, 20):
        reply = pictures.worker.allocate(np.empty((side, side, 3), np.uint16))
        assert reply["picture"] == 1
        pictures.worker.ask(type="release", picture=1)
        assert not Path(reply["path"]).exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"into": 0}, "picture and into are both 0"),
        ({"into": 3}, "picture is 3; allocated: 0, 1"),
        ({"into": 2}, "allocated: 0, 1"),
        ({"height": 151}, "height is 151; expected a whole number, 1 to 150"),
        ({"width": 0}, "width is 0; expected a whole number, 1 to 210"),
        ({"top": 111}, "top is 111; expected a whole number, 0 to 110"),
        ({"left": -1}, "left is -1; expected a whole number, 0 to 160, for a window of 40×50"),
        ({"left": 1.5}, "left is 1.5"),
    ],
)
def test_bad_windows_are_refused(pictures: Pictures, change: dict[str, Any], words: str) -> None:
    """A window that is not inside the picture is refused, and the worker goes on."""
    worker = pictures.worker
    assert worker.allocate(np.empty((40, 50, 3), np.uint16))["picture"] == 1
    good = {"picture": 0, "into": 1, "height": 150, "width": 210, "top": 0, "left": 0}
    reply = worker.ask(type="window", **{**good, **change})
    assert reply["code"] == "request"
    assert words in reply["message"]
    assert worker.ask(type="release", picture=1)["type"] == "done"


def test_other_misuse_is_refused(pictures: Pictures) -> None:
    """Other pixels, network detail of a smaller view, and rows of no window are refused."""
    pictures.survey(wrap=False)
    worker = pictures.worker
    assert worker.allocate(np.empty((4, 5, 3), np.uint8))["picture"] == 1
    place = {"picture": 0, "height": 75, "width": 105, "top": 0, "left": 0}
    words = "picture 1 has 3 channels of uint8; expected 3 channels of uint16, as picture 0 has"
    assert words in worker.ask(type="window", into=1, **place)["message"]
    assert worker.allocate(np.empty((4, 5, 3), np.uint16))["picture"] == 2
    assert worker.ask(type="window", into=2, **place)["type"] == "done"
    assert "own size only" in worker.render(2, detail="network")["message"]
    assert "expected the first row" in worker.render(2, rows=[0, 5])["message"]
    assert "rows is [True, 2]" in worker.render(2, rows=[True, 2])["message"]
    assert "picture 0 is no window" in worker.render(0, rows=[0, 4])["message"]
    for number in (1, 2):
        worker.ask(type="release", picture=number)
