"""Lazy pyvips images whose pixels a Python function makes, and sinks that can be interrupted.

`generate` makes an image of which nothing is computed until a sink asks for pixels; then libvips
calls `render` on its worker threads, for the windows that the sink needs. `run` runs a sink so
that Ctrl-C stops it and that the caller sees the exception that `render` raised.

What belongs to an image lives as long as the image in C does, in `_works`, under the number that
libvips hands to the callbacks.
"""

from __future__ import annotations

import _thread
import atexit
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin.errors import Cancelled, InputError
from drht_plugin.geometry import Region
from drht_plugin.libvips.c import adopt, ffi, library, to_c

Pixels = npt.NDArray[Any]
Result = TypeVar("Result")

DTYPES: dict[str, np.dtype[Any]] = {
    "uchar": np.dtype(np.uint8),
    "char": np.dtype(np.int8),
    "ushort": np.dtype(np.uint16),
    "short": np.dtype(np.int16),
    "uint": np.dtype(np.uint32),
    "int": np.dtype(np.int32),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
}
"""The numpy type of each libvips band format, complex ones left out."""

_FORMATS = {
    "uchar": 0,
    "char": 1,
    "ushort": 2,
    "short": 3,
    "uint": 4,
    "int": 5,
    "float": 6,
    "double": 8,
}
_INTERPRETATIONS = {
    "multiband": 0,
    "b-w": 1,
    "xyz": 12,
    "lab": 13,
    "rgb": 17,
    "srgb": 22,
    "rgb16": 25,
    "grey16": 26,
    "scrgb": 28,
}
_ANY = 3  # VIPS_DEMAND_STYLE_ANY: the demand of the source is kept


Render = Callable[[Region, Region, Pixels | None], Pixels]
"""(window, around, pixels) → the window's pixels, height×width×bands of the image's dtype.

around: the window and its halo, cut at the source's edges. pixels: the source there, R×C×bands, a
view that is valid during the call only and may not be written; None without a source.
It is called from several threads at a time, most of them none of Python's own.
"""


@dataclass(frozen=True)
class Header:
    """What an image is: size in pixels, bands, and libvips' names of format and interpretation.

    xres, yres: pixels per millimetre.
    """

    width: int
    height: int
    bands: int
    format: str
    interpretation: str
    xres: float = 1.0
    yres: float = 1.0

    @classmethod
    def of(cls, image: pyvips.Image) -> Header:
        """The header of an image."""
        return cls(
            image.width,
            image.height,
            image.bands,
            str(image.format),
            str(image.interpretation),
            image.xres,
            image.yres,
        )

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of the pixels."""
        return DTYPES[self.format]


@dataclass
class _Work:
    """What belongs to one generated image.

    source: held here, as libvips' own link to it is weak. watchers: one list for each `run` in
    progress, which gets the exceptions of `render`; they are not kept otherwise, as their frames
    would keep the image. killers: the images whose kill flag stops the work. stopped: it
    is to end now.
    """

    header: Header
    source: pyvips.Image | None
    source_header: Header | None
    render: Render
    halo: int
    pointer: Any
    signal: int = 0
    watchers: tuple[list[BaseException], ...] = ()
    killers: tuple[Any, ...] = ()
    stopped: bool = False

    def fail(self, error: BaseException) -> None:
        for failures in self.watchers:
            failures.append(error)
        text = f"{type(error).__name__}: {error}"
        library().vips_error(b"drht", b"%s", ffi.new("char[]", text.encode()))
        if isinstance(error, KeyboardInterrupt):
            # A small sink renders on the caller's own thread: let it be seen there after libvips
            # has come back.
            _thread.interrupt_main()


_works: dict[int, _Work] = {}
_leaving: dict[int, _Work] = {}
_keys = itertools.count(1)
_here = threading.local()
_lock = threading.Lock()


def generate(
    header: Header,
    render: Render,
    *,
    source: pyvips.Image | None = None,
    halo: int = 0,
) -> pyvips.Image:
    """A lazy image whose pixels `render` makes.

    Args:
        header: of the new image.
        render: see `Render`; must give the same pixels for a place in whatever window.
        source: an image of the same size whose pixels `render` gets, and whose metadata the new
            image inherits.
        halo: pixels of the source around a window that `render` needs.

    Raises:
        InputError: a format or interpretation that is not supported.
        DependencyError: a libvips that this does not fit.
    """
    for table, value, name in (
        (_FORMATS, header.format, "format"),
        (_INTERPRETATIONS, header.interpretation, "interpretation"),
    ):
        if value not in table:
            raise InputError(f"{name} is {value!r}; expected one of {', '.join(table)}")
    lib = library()
    out = lib.vips_image_new()
    image = adopt(out)
    inputs = [] if source is None else [to_c(source)]
    if source is not None and lib.vips_image_pio_input(inputs[0]):
        raise pyvips.Error("the source cannot be read")
    if lib.vips_image_pipeline_array(out, _ANY, ffi.new("void *[]", [*inputs, ffi.NULL])):
        raise pyvips.Error("no pipeline can be made of the source")
    lib.vips_image_init_fields(
        out,
        header.width,
        header.height,
        header.bands,
        _FORMATS[header.format],
        0,
        _INTERPRETATIONS[header.interpretation],
        header.xres,
        header.yres,
    )
    key = next(_keys)
    data = ffi.cast("void *", key)
    source_header = None if source is None else Header.of(source)
    work = _works[key] = _Work(header, source, source_header, render, halo, out)
    lib.g_object_weak_ref(out, _on_gone, data)
    work.signal = lib.g_signal_connect_data(
        out, b"minimise", ffi.cast("void *", _on_minimise), data, ffi.NULL, 0
    )
    # libvips' own functions open and close a region on the source for each thread.
    start, stop = (
        (ffi.addressof(lib, "vips_start_one"), ffi.addressof(lib, "vips_stop_one"))
        if inputs
        else (ffi.NULL, ffi.NULL)
    )
    if lib.vips_image_generate(out, start, _on_generate, stop, (inputs or [ffi.NULL])[0], data):
        raise pyvips.Error("the image cannot be made")
    return image


def check_kill() -> None:
    """Stop long work inside a `render` whose image somebody has killed.

    Raises:
        Cancelled: the kill flag of the image that is rendered on this thread is set, or of what
            `set_result` named.
    """
    work = current_work()
    if work is None:
        return
    # Reading the flag clears it: libvips leaves it to the first reader to pass the message on.
    if work.stopped or any(map(library().vips_image_iskilled, (work.pointer, *work.killers))):
        raise Cancelled("the image was killed")


def current_work() -> _Work | None:
    """What stands for the image that is rendered on this thread; None outside of a render."""
    return getattr(_here, "work", None)


def set_result(image: pyvips.Image, result: pyvips.Image) -> None:
    """Have `check_kill` heed the kill flag of `result` wherever it heeds that of `image`.

    result: made of `image`, which nothing else is made of: while `image` renders, it is alive.
    """
    pointer = to_c(image)
    for work in list(_works.values()):
        if pointer == work.pointer or pointer in work.killers:
            work.killers = (*work.killers, to_c(result))


def run(image: pyvips.Image, sink: Callable[[], Result]) -> Result:
    """Run a sink on an image: give what it returns, and raise what really went wrong.

    ``run(image, lambda: image.write_to_file("out.tif"))``. Ctrl-C stops the sink within one
    window; libvips' own sinks do not hear it before they end. What a failed sink has written is
    the caller's to remove.

    Args:
        image: what `sink` evaluates; the generated images that it is made of are found from it.
        sink: is called on a thread of its own.

    Raises:
        BaseException: what a `render` upstream raised, what `sink` raised otherwise, or what the
            calling thread got in the meantime, KeyboardInterrupt for example.
    """
    works = _upstream(image)
    results: list[Result] = []
    errors: list[BaseException] = []
    failures: list[BaseException] = []

    def call() -> None:
        try:
            results.append(sink())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    # Not the thread's own join: interrupted, it takes the thread for ended (CPython issue 90882).
    done = threading.Event()
    thread = threading.Thread(target=call, name="drht sink", daemon=True)
    with _watched(works, failures):
        try:
            thread.start()
            while not done.wait(0.1):
                pass
        except BaseException:
            # Held by `image`, the generated images outlive this.
            _stop(image, works, True)
            done.wait()
            _stop(image, works, False)
            raise
    if errors:
        if failures and isinstance(errors[0], pyvips.Error):
            raise failures[0] from errors[0]
        raise errors[0]
    return results[0]


def _upstream(image: pyvips.Image) -> list[_Work]:
    """What belongs to the generated images that `image` is made of.

    libvips can send one message up a pipeline: that caches may be dropped. Each generated image
    that hears it on this thread is one.
    """
    _here.found = []
    try:
        library().vips_image_minimise_all(to_c(image))
        return list(_here.found)
    finally:
        del _here.found


@contextmanager
def _watched(works: list[_Work], failures: list[BaseException]) -> Iterator[None]:
    with _lock:
        for work in works:
            work.watchers = (*work.watchers, failures)
    try:
        yield
    finally:
        with _lock:
            for work in works:
                work.watchers = tuple(each for each in work.watchers if each is not failures)


def _stop(image: pyvips.Image, works: list[_Work], stop: bool) -> None:
    image.set_kill(stop)
    for work in works:
        work.stopped = stop
        library().vips_image_set_kill(work.pointer, stop)


def _view(region: Any, area: Region, bands: int, dtype: np.dtype[Any]) -> Pixels:
    """The pixels of an area inside one of libvips' regions, without a copy."""
    pixel = bands * dtype.itemsize
    valid, stride = region.valid, region.bpl
    start = region.data + (area.top - valid.top) * stride + (area.left - valid.left) * pixel
    length = (area.height - 1) * stride + area.width * pixel
    shape = (area.height, area.width, bands)
    strides = (stride, pixel, dtype.itemsize)
    return np.ndarray(shape, dtype, ffi.buffer(start, length), 0, strides)


@ffi.callback("int(VipsRegion *, void *, void *, void *, gboolean *)", error=-1)
def _on_generate(region: Any, sequence: Any, _a: Any, key: Any, _stop: Any) -> int:
    work = _works.get(int(ffi.cast("uintptr_t", key)))
    if work is None:  # the interpreter is on its way out
        return -1
    outer = getattr(_here, "work", None)
    try:
        valid = region.valid
        window = Region(valid.top, valid.left, valid.height, valid.width)
        around, pixels = window, None
        if (given := work.source_header) is not None:
            around = window.dilated(work.halo, given.height, given.width, wrap=False)
            source = ffi.cast("VipsRegion *", sequence)
            rect = (around.left, around.top, around.width, around.height)
            if library().vips_region_prepare(source, ffi.new("VipsRect *", rect)):
                return -1
            pixels = _view(source, around, given.bands, given.dtype)
            pixels.flags.writeable = False
        _here.work = work  # which may lie within the survey of another one
        made = work.render(window, around, pixels)
        header = work.header
        shape = (window.height, window.width, header.bands)
        if made.shape != shape or made.dtype != header.dtype:
            raise InputError(
                f"render gave {made.dtype} {made.shape}; expected {header.dtype} {shape}"
            )
        _view(region, window, header.bands, header.dtype)[...] = made
    except BaseException as error:
        work.fail(error)
        return -1
    finally:
        _here.work = outer
    return 0


@ffi.callback("void(void *, void *)")
def _on_gone(key: Any, _where: Any) -> None:
    _works.pop(int(ffi.cast("uintptr_t", key)), None)


@ffi.callback("void(void *, void *)")
def _on_minimise(_image: Any, key: Any) -> None:
    works = getattr(_here, "found", None)
    if works is not None:
        works.append(_works[int(ffi.cast("uintptr_t", key))])


@atexit.register
def _at_exit() -> None:
    """Let no thread of libvips call into an interpreter that is going away."""
    # Held to the very end: threads may still be in them, and a work holds the image that it reads.
    _leaving.update(_works)
    _works.clear()
    for key, work in _leaving.items():
        lib = library()
        lib.vips_image_set_kill(work.pointer, True)
        lib.g_signal_handler_disconnect(work.pointer, work.signal)
        lib.g_object_weak_unref(work.pointer, _on_gone, ffi.cast("void *", key))
