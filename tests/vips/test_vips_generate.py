"""Lazy images that a Python function makes, and sinks that can be interrupted."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.errors import InputError
from drht_plugin.geometry import Region
from drht_plugin.libvips import lazy
from drht_plugin.libvips.lazy import DTYPES, Header, Pixels, generate, run


@pytest.fixture(autouse=True)
def _no_cache() -> Iterator[None]:
    before = pyvips.cache_get_max()
    pyvips.cache_set_max(0)
    yield
    pyvips.cache_set_max(before)


def _noise(height: int, width: int, bands: int = 3, dtype: str = "uint8") -> Pixels:
    noise = np.random.default_rng(7).integers(0, 200, (height, width, bands))
    return noise.astype(dtype)


def _image(array: Pixels) -> pyvips.Image:
    return pyvips.Image.new_from_array(array)


def _same(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
    assert pixels is not None
    top, left = window.top - around.top, window.left - around.left
    return pixels[top : top + window.height, left : left + window.width].copy()


def _slow(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
    time.sleep(0.02)
    return _same(window, around, pixels)


def _fails(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
    raise ZeroDivisionError(f"at row {window.top}")


@given(
    kind=st.sampled_from(sorted(DTYPES)),
    bands=st.integers(1, 5),
    height=st.integers(1, 70),
    width=st.integers(1, 90),
    halo=st.integers(0, 20),
    data=st.data(),
)
def test_window_and_halo(
    kind: str, bands: int, height: int, width: int, halo: int, data: st.DataObject
) -> None:
    """Any window comes with its halo, cut at the edges; what render gives is what is read."""
    array = _noise(height, width, bands, DTYPES[kind].name)
    source = _image(array)

    def render(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        assert pixels is not None
        assert around == window.dilated(halo, height, width, wrap=False)
        rows = slice(around.top, around.top + around.height)
        columns = slice(around.left, around.left + around.width)
        np.testing.assert_array_equal(pixels, array[rows, columns])
        return 100 - _same(window, around, pixels)

    image = generate(Header.of(source), render, source=source, halo=halo)
    left = data.draw(st.integers(0, width - 1))
    top = data.draw(st.integers(0, height - 1))
    right = data.draw(st.integers(left + 1, width))
    bottom = data.draw(st.integers(top + 1, height))
    cut = image.crop(left, top, right - left, bottom - top).numpy()
    expected = (100 - array)[top:bottom, left:right]
    np.testing.assert_array_equal(cut.reshape(expected.shape), expected)


def test_lazy_without_source() -> None:
    """Nothing is rendered before pixels are asked for, and then only what is asked for."""
    windows: list[Region] = []

    def render(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        windows.append(window)
        assert pixels is None
        rows = np.arange(window.top, window.top + window.height, dtype=np.float32)
        return np.broadcast_to(rows[:, None, None], (window.height, window.width, 1))

    image = generate(Header(40000, 30000, 1, "float", "b-w", xres=2.0), render)
    assert (image.width, image.height, image.format, image.xres) == (40000, 30000, "float", 2.0)
    assert windows == []
    assert image.crop(39000, 29000, 50, 20).avg() == 29009.5
    assert sum(w.width * w.height for w in windows) == 50 * 20


def test_metadata_is_inherited() -> None:
    """Profile, EXIF and the like of the source go with the new image."""
    source = _image(_noise(8, 8)).copy(xres=3.0)
    source.set_type(pyvips.GValue.blob_type, "icc-profile-data", b"profile")
    source.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "somebody")
    image = generate(Header.of(source), _same, source=source)
    assert image.get("icc-profile-data") == b"profile"
    assert image.get("exif-ifd0-Artist") == "somebody"
    assert image.xres == 3.0


def test_source_outlives_its_name() -> None:
    """The image keeps its source alive."""
    array = _noise(50, 60)
    source = _image(array).invert()
    image = generate(Header.of(source), _same, source=source)
    del source
    gc.collect()
    np.testing.assert_array_equal(image.numpy(), 255 - array)


def test_original_exception() -> None:
    """`run` raises what render raised; a plain sink says it in libvips' words."""
    source = _image(_noise(300, 200))
    image = generate(Header.of(source), _fails, source=source)
    half = image.resize(0.5)
    with pytest.raises(ZeroDivisionError, match="at row") as caught:
        run(half, half.avg)
    assert isinstance(caught.value.__cause__, pyvips.Error)
    with pytest.raises(pyvips.Error, match="ZeroDivisionError: at row"):
        half.avg()


def test_sink_exception_is_its_own() -> None:
    """What the sink itself raises comes out unchanged, and so does a result."""
    source = _image(_noise(30, 20))
    image = generate(Header.of(source), _same, source=source)
    with pytest.raises(KeyError, match="mine"):
        run(image, lambda: dict[str, int]()["mine"])
    with pytest.raises(pyvips.Error):
        run(image, lambda: image.write_to_file("/nowhere/at/all.tif"))
    assert run(image, image.max) == image.max()


def test_wrong_pixels_are_refused() -> None:
    """Pixels of another shape or dtype than promised end in an error that names both."""
    source = _image(_noise(30, 20))
    image = generate(Header.of(source), lambda *_: np.zeros((30, 20, 1)), source=source)
    with pytest.raises(InputError, match=r"float64 \(30, 20, 1\).*uint8 \(\d+, 20, 3\)"):
        run(image, image.avg)
    with pytest.raises(InputError, match="complex"):
        generate(Header(3, 3, 1, "complex", "b-w"), _same)


def test_interrupt_and_go_on() -> None:
    """Ctrl-C ends a sink at once and for good; the image can be evaluated again."""
    array = _noise(3200, 100)
    source = _image(array)
    calls = []

    def render(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        calls.append(window)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return _slow(window, around, pixels)

    image = generate(Header.of(source), render, source=source)
    with pytest.raises(KeyboardInterrupt):
        run(image, image.avg)
    seen = len(calls)
    assert seen < 60
    time.sleep(0.2)
    assert len(calls) == seen
    np.testing.assert_array_equal(run(image, image.numpy), array)


def test_kill_from_another_thread() -> None:
    """`set_kill` on the image stops a plain sink."""
    source = _image(_noise(6400, 100))
    image = generate(Header.of(source), _slow, source=source)
    threading.Timer(0.2, lambda: image.set_kill(True)).start()
    with pytest.raises(pyvips.Error, match="killed"):
        image.avg()


def test_nothing_is_left() -> None:
    """Images that were read, that failed and that were never read leave no state behind."""
    gc.collect()
    before = set(lazy._generated)
    source = _image(_noise(100, 100))

    def use(render: lazy.Render, read: bool) -> None:
        image = generate(Header.of(source), render, source=source)
        if read:
            with suppress(ZeroDivisionError):
                run(image, lambda: image.invert().avg())

    for _ in range(10):
        use(_same, True)
        use(_fails, True)
        use(_fails, False)
    gc.collect()
    assert set(lazy._generated) == before


_EXIT = """
import sys, threading, time
import numpy as np, pyvips
from drht_plugin.libvips.lazy import Header, generate
def render(window, around, pixels):
    started.set()
    time.sleep(0.05)
    return pixels.copy()
started = threading.Event()
source = pyvips.Image.new_from_array(np.zeros((20000, 100, 3), np.uint8))
first = generate(Header.of(source), lambda window, around, pixels: pixels.copy(), source=source)
image = generate(Header.of(source), render, source=first)
del first
threading.Thread(target=image.avg, daemon=True).start()
started.wait()
print("leaving")
"""


def test_exit_during_a_sink() -> None:
    """An interpreter that exits while libvips renders ends at once, without a word."""
    done = subprocess.run(
        [sys.executable, "-c", _EXIT],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "VIPS_CONCURRENCY": "2"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")
