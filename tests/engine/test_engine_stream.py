"""Streams from sources to sinks: the same bits as whole arrays, in bounded memory, all or stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import Image, channel_counts, corrector, dtypes, picture, seeds, sizes

from drht_plugin import InputError, Scene
from drht_plugin.engine.bands import DEPTH, BandPlan, Demand, Watch, plan_bands
from drht_plugin.engine.memory import parse_memory
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.stream import run

STUB = corrector()


class Rows:
    """A source and sink that is no numpy array, and remembers what it was asked."""

    def __init__(self, pixels: Image) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.read: list[range] = []
        self.written: list[tuple[int, int]] = []

    def __getitem__(self, rows: slice) -> Image:
        self.read.append(range(*rows.indices(self.shape[0])))
        return self.pixels[rows]

    def __setitem__(self, rows: slice, pixels: Image) -> None:
        self.written.append((rows.start, rows.stop))
        self.pixels[rows] = pixels


class Failing(Rows):
    """One that raises at its n-th row."""

    def __init__(self, pixels: Image, row: int, error: BaseException) -> None:
        super().__init__(pixels)
        self.row, self.error = row, error

    def __getitem__(self, rows: slice) -> Image:
        if rows.start <= self.row < rows.stop and rows.step is None:
            raise self.error
        return super().__getitem__(rows)

    def __setitem__(self, rows: slice, pixels: Image) -> None:
        if rows.start <= self.row < rows.stop:
            raise self.error
        super().__setitem__(rows, pixels)


class Means:
    """A renderer with a halo: each row becomes the mean of the rows around it."""

    def __init__(self, source: Image, halo: int, stride: int = 1) -> None:
        row = source[0].nbytes
        self.height, self.halo = len(source), halo
        self.demand = Demand(halo, stride, row, row, 0)
        self.row_shape, self.dtype = source.shape[1:], source.dtype
        self.bands: list[tuple[int, int]] = []

    ahead = 0

    def begin(
        self, pixels: Image, top: int, band: slice, watch: Watch | None = None
    ) -> Callable[[Image], None]:
        return partial(self, pixels, top, band)

    def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
        self.bands.append((band.start, band.stop))
        for row in range(band.start, band.stop):
            first, last = max(row - self.halo, 0), min(row + self.halo + 1, self.height)
            assert top <= first
            out[row - band.start] = pixels[first - top : last - top].mean(0)


def same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Equal in type and every bit."""
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@given(sizes, channel_counts, dtypes, st.integers(1, 90), st.booleans(), seeds)
def test_same_bits_as_the_array(
    size: tuple[int, int], channels: int | None, dtype: str, tile: int, wrap: bool, seed: int
) -> None:
    """A stream gives the bits of `correct`, whatever the bands."""
    image = picture(*size, channels, dtype, seed)
    sink = Rows(np.zeros_like(image))
    STUB.stream(Rows(image), sink, tile=tile, wrap=wrap, shadows=0.7)
    assert same(sink.pixels, STUB.correct(image, wrap=wrap, shadows=0.7))


@given(
    st.integers(1, 60), st.integers(1, 20), st.integers(0, 30), st.integers(1, 4), st.integers(0, 3)
)
def test_halo(height: int, rows: int, halo: int, stride: int, skipped: int) -> None:
    """A renderer gets its halo, each source row is read once, and bands begin on the stride."""
    image = picture(height, 5, 3, "float32")
    rows *= stride
    start = min(skipped * stride, height - 1) // stride * stride
    source, sink = Rows(image), Rows(np.zeros_like(image))
    renderer = Means(image, halo, stride)
    run(source, sink, renderer, BandPlan(height, rows, halo, start))
    expected = np.zeros_like(image)
    Means(image, halo)(image, 0, slice(0, height), expected)
    np.testing.assert_array_equal(sink.pixels[start:], expected[start:])
    assert [row for part in source.read for row in part] == list(
        range(max(start - halo, 0), height)
    )
    assert sink.written == renderer.bands
    assert all(first % stride == 0 for first, _ in renderer.bands)


def test_every_row_is_given_once_in_order() -> None:
    """The sink gets rows 0 to the last, each once, in order; so does the reader for the result."""
    image = picture(100, 30, 3, "uint8")
    source, sink = Rows(image), Rows(np.zeros_like(image))
    STUB.stream(source, sink, tile=7)
    assert [r for first, last in sink.written for r in range(first, last)] == list(range(100))
    last_pass = source.read[-len(sink.written) :]
    assert [row for part in last_pass for row in part] == list(range(100))


def test_progress() -> None:
    """Progress rises in small steps to exactly 1, over survey and render."""
    seen: list[float] = []
    image = picture(60, 40, 3, "uint8")
    STUB.stream(image, np.empty_like(image), tile=2, progress=seen.append)
    assert seen == sorted(seen)
    assert len([share for share in seen if share > 0.35]) > 25
    assert seen[-1] == 1


def test_memmap_in_and_out(tmp_path: Path) -> None:
    """Files of raw pixels are corrected from one to the other."""
    image = picture(120, 90, 3, "uint16")
    source = np.memmap(tmp_path / "in", np.uint16, "w+", shape=image.shape)
    source[:] = image
    sink = np.memmap(tmp_path / "out", np.uint16, "w+", shape=image.shape)
    STUB.stream(source, sink, memory="200K")
    assert same(np.asarray(sink), STUB.correct(image))


def test_the_stages_overlap() -> None:
    """While one band is computed the next is read and the last is written, at the same time."""
    image = picture(60, 5, 3, "float32")
    reading, writing = threading.Event(), threading.Event()
    renderer = Means(image, 0)

    class Meeting(Rows):
        def __getitem__(self, rows: slice) -> Image:
            if rows.start == 40:
                reading.set()
            return super().__getitem__(rows)

        def __setitem__(self, rows: slice, pixels: Image) -> None:
            if rows.start == 0:
                writing.set()
                assert computed.wait(20)
            super().__setitem__(rows, pixels)

    computed = threading.Event()

    def compute(pixels: Image, top: int, band: slice, out: Image) -> None:
        if band.start == 20:  # rows 40.. are being read and rows 0.. written meanwhile
            assert reading.wait(20)
            assert writing.wait(20)
            computed.set()
        Means.__call__(renderer, pixels, top, band, out)

    class Waiting(Means):
        def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
            compute(pixels, top, band, out)

    run(Meeting(image), Meeting(np.zeros_like(image)), Waiting(image, 0), BandPlan(60, 20))
    assert computed.is_set()


def test_few_bands_are_on_their_way() -> None:
    """What was read and is not written yet never exceeds what the memory is planned for."""
    image = picture(400, 5, 3, "float32")
    rows_read = rows_written = most = 0

    class Counting(Rows):
        def __getitem__(self, rows: slice) -> Image:
            nonlocal rows_read, most
            rows_read = rows.stop
            most = max(most, rows_read - rows_written)
            return super().__getitem__(rows)

        def __setitem__(self, rows: slice, pixels: Image) -> None:
            nonlocal rows_written
            threading.Event().wait(0.002)  # the slowest stage
            rows_written = rows.stop

    run(Counting(image), Counting(image), Means(image, 0), BandPlan(400, 10))
    assert rows_written == 400
    assert 10 < most <= 10 * (2 * DEPTH + 3)


@pytest.mark.parametrize("error", [OSError("no room"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("row", [0, 55, 99])
@pytest.mark.parametrize("stage", ["read", "compute", "write", "progress"])
def test_errors_stop_everything(stage: str, row: int, error: BaseException) -> None:
    """What any stage raises reaches the caller as it is; no thread goes on, nothing is given."""
    image = picture(100, 20, 3, "float32")
    source: Rows = Failing(image, row, error) if stage == "read" else Rows(image)
    out = np.zeros_like(image)
    sink: Rows = Failing(out, row, error) if stage == "write" else Rows(out)

    class Broken(Means):
        def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
            if stage == "compute" and band.start <= row < band.stop:
                raise error
            super().__call__(pixels, top, band, out)

    def progress(done: int, total: int) -> None:
        if stage == "progress" and done > row:
            raise error

    with pytest.raises(type(error)) as caught:
        run(source, sink, Broken(image, 3), BandPlan(100, 10, 3), progress)
    assert caught.value is error
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("drht ")]
    assert all(last <= row - row % 10 + 10 for _, last in sink.written)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "ends early: 9 of 10 rows from row 20 on"),
        (lambda rows: rows[:0], "ends early: 0 of 10 rows from row 20 on"),
        (lambda rows: rows[:, :-1], r"gave float32 \(19, 3\) at row 20"),
        (lambda rows: rows.astype(np.float64), "gave float64"),
    ],
)
def test_sources_that_lie(change: Callable[[Image], Image], words: str) -> None:
    """Rows that are missing, or of another shape or type, are refused by place."""
    image = picture(50, 20, 3, "float32")

    class Lying(Rows):
        def __getitem__(self, rows: slice) -> Image:
            given = super().__getitem__(rows)
            return change(given) if rows.start == 20 else given

    with pytest.raises(InputError, match=words):
        run(Lying(image), Rows(image.copy()), Means(image, 0), BandPlan(50, 10))


def test_what_is_no_number_is_refused() -> None:
    """NaN in a row that the survey did not see is refused by place when it is rendered."""
    image = picture(50, 20, 3, "float32")
    scene = STUB.survey(image)
    image[20, 3, 1] = np.nan
    with pytest.raises(InputError, match="holds nan at row 20, column 3, channel 1"):
        STUB.render_into(scene, Rows(image), Rows(image.copy()))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"memory": "2 lots"}, "memory is '2 lots'; expected bytes, or a text"),
        ({"memory": 0}, "memory is 0; expected"),
        ({"memory": -1}, "memory is -1; expected"),
        ({"memory": "nan"}, "memory is 'nan'; expected"),
        ({"memory": True}, "memory is True; expected"),
        ({"memory": 1000}, r"1 rows of 50 pixels need 1.46 kB of memory.*1e\+03 bytes|1000 bytes"),
        ({"tile": 0}, "tile is 0; expected"),
        ({"tile": 2.5}, "tile is 2.5; expected"),
        ({"detail": "fine"}, "detail is 'fine'"),
        ({"strength": -1}, "strength is -1"),
        ({"transfer": "log"}, "transfer is 'log'"),
    ],
)
def test_impossible_settings(settings: dict[str, Any], words: str) -> None:
    """Values that cannot be are refused by name before a row is read."""
    source = Rows(picture(40, 50, 3, "uint8"))
    with pytest.raises(InputError, match=words):
        STUB.stream(source, Rows(source.pixels.copy()), **settings)
    assert source.read == []


@pytest.mark.parametrize(
    ("height", "width"), [(0, 10), (10, 0), (10, 1_000_000_000), (1_000_000_000, 1_000_000_000)]
)
def test_impossible_geometry(height: int, width: int) -> None:
    """No pixels, and rows that no memory can hold, are refused before any work."""

    class Declared:
        shape, dtype = (height, width, 3), np.dtype(np.uint8)

        def __getitem__(self, rows: slice) -> Image:
            raise AssertionError("read")

    class Nothing:
        def __setitem__(self, rows: slice, pixels: Image) -> None:
            raise AssertionError("written")

    with pytest.raises(InputError, match=r"is empty|1 rows of 1000000000 pixels need"):
        STUB.stream(Declared(), Nothing())


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "ends early"),
        (lambda rows: rows[:, :-1], "the source gave uint8"),
        (lambda rows: rows[..., :1], "the source gave uint8"),
        (lambda rows: rows.astype(np.uint16), "the source gave uint16"),
    ],
)
def test_surveys_of_sources_that_lie(
    orientation: int, change: Callable[[Image], Image], words: str
) -> None:
    """A survey does not look at other rows than the source says that it has."""

    class Lying(Rows):
        def __getitem__(self, rows: slice) -> Image:
            return change(super().__getitem__(rows))

    source: Any = Lying(picture(50, 40, 3, "uint8"))
    for call in (STUB.survey, STUB.correct):
        with pytest.raises(InputError, match=words):
            call(source, orientation=orientation)


@pytest.mark.parametrize(
    "shape",
    [np.array([50, 40, 3]), [50, 40, 3], (np.int64(50), np.int32(40), np.uint8(3))],
    ids=str,
)
def test_sizes_of_numpy_numbers(shape: Any, tmp_path: Path) -> None:
    """A source may state its size in numpy's integers, or in a list."""
    image = picture(50, 40, 3, "uint8")
    source: Any = Rows(image)
    source.shape = shape
    scene = STUB.survey(source)
    scene.save(tmp_path / "a.safetensors")
    assert Scene.load(tmp_path / "a.safetensors") == STUB.survey(image)
    expected, out = STUB.correct(image), np.empty_like(image)
    assert np.array_equal(STUB.correct(source, out=out), expected)
    sink = np.empty_like(image)
    STUB.stream(source, sink)
    assert np.array_equal(sink, expected)


@pytest.mark.parametrize("shape", [(50.0, 40, 3), (-50, 40, 3), ("50", 40, 3), (True, 40, 3), None])
def test_sizes_that_are_no_numbers(shape: Any) -> None:
    """A source whose size is no size is refused by it."""
    source: Any = Rows(picture(50, 40, 3, "uint8"))
    source.shape = shape
    with pytest.raises(InputError, match="the image"):
        STUB.survey(source)


def test_sinks_of_the_hdr_estimate() -> None:
    """The HDR estimate goes into floats of the image's size; in integers it would be cut off."""
    image = picture(40, 50, 3, "uint8")
    scene = STUB.survey(image)
    frozen = np.zeros((40, 50, 3), np.float32)
    frozen.flags.writeable = False
    bad: list[tuple[Any, str]] = [
        (
            np.zeros((40, 50, 3), np.uint8),
            r"the sink holds uint8 .*; expected floats \(40, 50, 3\)",
        ),
        (np.zeros((40, 50), np.float32), "the sink holds float32"),
        (np.zeros((30, 50, 3), np.float32), "the sink holds float32"),
        (frozen, "read-only"),
        (None, "the sink is a NoneType"),
    ]
    for sink, words in bad:
        with pytest.raises(InputError, match=words):
            STUB.render_hdr_into(scene, image, sink)
    radiance = np.zeros((40, 50, 3), np.float32)
    STUB.render_hdr_into(scene, image, radiance)
    assert np.array_equal(radiance, STUB.estimate_hdr(image))


def test_impossible_sinks() -> None:
    """A sink of another shape or type, read-only, or on top of the source, is refused."""
    image = picture(40, 50, 3, "uint8")
    frozen = image.copy()
    frozen.flags.writeable = False
    for sink, words in [
        (np.zeros((40, 51, 3), np.uint8), "the sink holds uint8"),
        (np.zeros((40, 50, 3), np.uint16), "the sink holds uint16"),
        (frozen, "read-only"),
        (image[:], "shares memory"),
        (7, "the sink is a int"),
    ]:
        with pytest.raises(InputError, match=words):
            STUB.stream(image, sink)  # type: ignore[arg-type]


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.integers(20, 30), st.sampled_from([0, 16, 64])
)
def test_plan_keeps_to_the_memory(height: int, width: int, power: int, halo: int) -> None:
    """A plan's bands need no more than the memory allowed, and as much of it as they can."""
    row = 3 * width
    demand = Demand(halo, 1, row, row, 0)
    kind = spec_of(np.broadcast_to(np.uint8(0), (height, width, 3)))
    budget = 1 << power

    def needed(rows: int) -> int:
        return rows * row * (2 * (DEPTH + 2) + bool(halo)) + 4 * halo * row

    try:
        plan = plan_bands(kind, demand, memory=budget)
    except InputError:
        assert needed(1) > budget
        return
    assert needed(plan.rows) <= budget < needed(plan.rows + 1)


def test_memory_in_words() -> None:
    """Units are powers of 1024, in either case, with or without their B."""
    for text, size in [
        ("64kb", 64 << 10),
        ("512m", 512 << 20),
        ("2G", 2 << 30),
        ("1.5GiB", 3 << 29),
        ("3TB", 3 << 40),
    ]:
        assert parse_memory(text) == size
    assert parse_memory(123) == parse_memory("123") == 123
