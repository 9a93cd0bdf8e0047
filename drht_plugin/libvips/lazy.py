"""Lazy pyvips images rendered by a Python function, and sinks that can be interrupted.

`generate` makes an image that computes nothing until a sink asks for pixels. Then libvips calls
`render` on its worker threads, for the windows that the sink needs. `run` runs a sink so that
Ctrl-C stops it, and raises the exception that `render` raised.

`_generated` holds the state of each image for as long as the C image lives, under the number that
libvips passes to the callbacks.
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
from drht_plugin.forks import require_own_process
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
"""The numpy type of each libvips band format, except the complex ones."""

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
_ANY = 3  # VIPS_DEMAND_STYLE_ANY: the source decides in what windows pixels are asked for


Render = Callable[[Region, Region, Pixels | None], Pixels]
"""(window, around, pixels) → the window's pixels, height×width×bands of the image's dtype.

`around` is the window and its halo, cut at the source's edges. `pixels` is the source there,
R×C×bands: a read-only view that is valid during the call only; None without a source. The function
is called from several threads at once, most of which are libvips' own.
"""


@dataclass(frozen=True)
class Header:
    """Size and kind of an image.

    Attributes:
        width: in pixels.
        height: in pixels.
        bands: channels per pixel.
        format: libvips' name of the band format; a key of `DTYPES`.
        interpretation: libvips' name of the colour space.
        xres: horizontal pixels per millimetre.
        yres: vertical pixels per millimetre.
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
        """Return the header of an image."""
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
        """Numpy type of the pixels."""
        return DTYPES[self.format]


@dataclass
class _Generated:
    """State of one generated image.

    Attributes:
        header: of the image.
        source: the image that `render` reads; referenced here, as libvips does not own it.
        source_header: of `source`.
        render: makes the pixels.
        halo: pixels of the source around a window that `render` needs.
        pointer: to the C image.
        signal: number of the handler of libvips' `minimise` signal.
        error_lists: one for each `run` in progress, to collect the exceptions of `render`. They
            are stored nowhere else, as their frames would keep the image alive.
        kill_sources: C images whose kill flag stops `render` too.
        stopped: whether `render` is to stop now.
    """

    header: Header
    source: pyvips.Image | None
    source_header: Header | None
    render: Render
    halo: int
    pointer: Any
    signal: int = 0
    error_lists: tuple[list[BaseException], ...] = ()
    kill_sources: tuple[Any, ...] = ()
    stopped: bool = False

    def report_error(self, error: BaseException) -> None:
        for failures in self.error_lists:
            failures.append(error)
        text = f"{type(error).__name__}: {error}"
        library().vips_error(b"drht", b"%s", ffi.new("char[]", text.encode()))
        if isinstance(error, KeyboardInterrupt):
            # A small sink renders on the caller's thread: raise it there once libvips returns.
            _thread.interrupt_main()


_generated: dict[int, _Generated] = {}
_kept_at_exit: dict[int, _Generated] = {}
_keys = itertools.count(1)
_thread_state = threading.local()
_lock = threading.Lock()


def generate(
    header: Header,
    render: Render,
    *,
    source: pyvips.Image | None = None,
    halo: int = 0,
) -> pyvips.Image:
    """Return a lazy image whose pixels `render` makes.

    Args:
        header: of the new image.
        render: see `Render`; must return the same values for a pixel in any window.
        source: an image of the same size, whose pixels `render` gets and whose metadata the new
            image inherits.
        halo: pixels of the source around a window that `render` needs.

    Raises:
        InputError: the format or interpretation is not supported.
        DependencyError: this libvips is not supported.
    """
    require_own_process("libvips")
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
    work = _generated[key] = _Generated(header, source, source_header, render, halo, out)
    lib.g_object_weak_ref(out, _on_freed, data)
    work.signal = lib.g_signal_connect_data(
        out, b"minimise", ffi.cast("void *", _on_minimise), data, ffi.NULL, 0
    )
    # These functions of libvips open and close a region on the source for each thread.
    start, stop = (
        (ffi.addressof(lib, "vips_start_one"), ffi.addressof(lib, "vips_stop_one"))
        if inputs
        else (ffi.NULL, ffi.NULL)
    )
    if lib.vips_image_generate(out, start, _on_generate, stop, (inputs or [ffi.NULL])[0], data):
        raise pyvips.Error("the image cannot be made")
    return image


def check_kill() -> None:
    """Stop a `render` whose image has been killed; call it during long work.

    Raises:
        Cancelled: the kill flag is set of the image rendered on this thread, or of an image named
            by `link_kill_flag`.
    """
    work = current_image()
    if work is None:
        return
    # Reading clears the flag, so the first reader must pass the message on.
    if work.stopped or any(map(library().vips_image_iskilled, (work.pointer, *work.kill_sources))):
        raise Cancelled("the image was killed")


def current_image() -> _Generated | None:
    """Return the state of the image rendered on this thread; None outside of `render`."""
    return getattr(_thread_state, "work", None)


def link_kill_flag(image: pyvips.Image, result: pyvips.Image) -> None:
    """Make the kill flag of `result` stop `image` too, in `check_kill`.

    Args:
        image: a generated image, or one already linked.
        result: the only image made from `image`, so that it is alive while `image` renders.
    """
    pointer = to_c(image)
    for work in list(_generated.values()):
        if pointer == work.pointer or pointer in work.kill_sources:
            work.kill_sources = (*work.kill_sources, to_c(result))


def run(image: pyvips.Image, sink: Callable[[], Result]) -> Result:
    """Run a sink on an image, so that it can be interrupted and raises the original exception.

    ``run(image, lambda: image.write_to_file("out.tif"))``. Ctrl-C stops the sink within one
    window, while libvips' own sinks ignore it until they end. The caller must remove what a failed
    sink has written.

    Args:
        image: the image that `sink` evaluates; generated images are found upstream of it.
        sink: is called on a thread of its own.

    Returns:
        What `sink` returns.

    Raises:
        BaseException: the exception that a `render` upstream raised, or else the one that `sink`
            raised, or the one raised in the calling thread meanwhile, such as KeyboardInterrupt.
    """
    require_own_process("libvips")
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

    # An interrupted Thread.join marks a running thread as ended (CPython issue 90882).
    done = threading.Event()
    thread = threading.Thread(target=call, name="drht sink", daemon=True)
    with _collecting_errors(works, failures):
        try:
            thread.start()
            while not done.wait(0.1):
                pass
        except BaseException:
            # The generated images are alive throughout, as `image` references them.
            _stop(image, works, True)
            done.wait()
            _stop(image, works, False)
            raise
    if errors:
        if failures and isinstance(errors[0], pyvips.Error):
            raise failures[0] from errors[0]
        raise errors[0]
    return results[0]


def _upstream(image: pyvips.Image) -> list[_Generated]:
    """Find the generated images upstream of an image.

    libvips sends its `minimise` signal up a pipeline. The generated images that receive it on this
    thread are those upstream.
    """
    _thread_state.found = []
    try:
        library().vips_image_minimise_all(to_c(image))
        return list(_thread_state.found)
    finally:
        del _thread_state.found


@contextmanager
def _collecting_errors(works: list[_Generated], failures: list[BaseException]) -> Iterator[None]:
    with _lock:
        for work in works:
            work.error_lists = (*work.error_lists, failures)
    try:
        yield
    finally:
        with _lock:
            for work in works:
                work.error_lists = tuple(each for each in work.error_lists if each is not failures)


def _stop(image: pyvips.Image, works: list[_Generated], stop: bool) -> None:
    image.set_kill(stop)
    for work in works:
        work.stopped = stop
        library().vips_image_set_kill(work.pointer, stop)


def _as_array(region: Any, area: Region, bands: int, dtype: np.dtype[Any]) -> Pixels:
    """Return an array on the pixels of an area inside a libvips region, without copying."""
    pixel = bands * dtype.itemsize
    valid, stride = region.valid, region.bpl
    start = region.data + (area.top - valid.top) * stride + (area.left - valid.left) * pixel
    length = (area.height - 1) * stride + area.width * pixel
    shape = (area.height, area.width, bands)
    strides = (stride, pixel, dtype.itemsize)
    return np.ndarray(shape, dtype, ffi.buffer(start, length), 0, strides)


@ffi.callback("int(VipsRegion *, void *, void *, void *, gboolean *)", error=-1)
def _on_generate(region: Any, sequence: Any, _a: Any, key: Any, _stop: Any) -> int:
    work = _generated.get(int(ffi.cast("uintptr_t", key)))
    if work is None:  # the interpreter is shutting down
        return -1
    outer = getattr(_thread_state, "work", None)
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
            pixels = _as_array(source, around, given.bands, given.dtype)
            pixels.flags.writeable = False
        _thread_state.work = work  # may be nested in the survey of another image
        made = work.render(window, around, pixels)
        header = work.header
        shape = (window.height, window.width, header.bands)
        if made.shape != shape or made.dtype != header.dtype:
            raise InputError(
                f"render gave {made.dtype} {made.shape}; expected {header.dtype} {shape}"
            )
        _as_array(region, window, header.bands, header.dtype)[...] = made
    except BaseException as error:
        work.report_error(error)
        return -1
    finally:
        _thread_state.work = outer
    return 0


@ffi.callback("void(void *, void *)")
def _on_freed(key: Any, _where: Any) -> None:
    _generated.pop(int(ffi.cast("uintptr_t", key)), None)


@ffi.callback("void(void *, void *)")
def _on_minimise(_image: Any, key: Any) -> None:
    works = getattr(_thread_state, "found", None)
    if works is not None:
        works.append(_generated[int(ffi.cast("uintptr_t", key))])


@atexit.register
def _at_exit() -> None:
    """Stop libvips' threads from calling into an interpreter that is shutting down."""
    # Kept to the very end, as threads may still be rendering, and each state owns its source.
    _kept_at_exit.update(_generated)
    _generated.clear()
    for key, work in _kept_at_exit.items():
        lib = library()
        lib.vips_image_set_kill(work.pointer, True)
        lib.g_signal_handler_disconnect(work.pointer, work.signal)
        lib.g_object_weak_unref(work.pointer, _on_freed, ffi.cast("void *", key))
