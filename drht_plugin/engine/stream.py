"""Band by band from a source to a sink: reading, computing and writing at the same time.

Memory is set by the rows of a band, never by the image's height.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.bands import DEPTH, Band, BandPlan, BandRenderer
from drht_plugin.engine.progress import RowsCallback
from drht_plugin.engine.source import Sink, Source
from drht_plugin.errors import InputError

Image = npt.NDArray[Any]
Item = TypeVar("Item")

_POLL = 0.2  # so that Ctrl-C is heard on platforms where waiting for a lock is deaf to it


class BandSink(Protocol):
    """Where rendered bands go."""

    def allocate(self, band: Band) -> Image:
        """Return the array that the band's rows are to be written to."""
        ...

    def put(self, band: Band, rows: Image) -> None:
        """Take the band's rows, which `allocate` gave."""
        ...


def render_bands(
    windows: Iterable[tuple[Band, Image]],
    renderer: BandRenderer,
    sink: BandSink,
    height: int,
    progress: RowsCallback | None = None,
) -> None:
    """Render bands one after another.

    Args:
        windows: bands with the input rows that each needs.
        renderer: makes them.
        sink: where they go.
        height: rows of the whole image, for the progress.
        progress: called when a band was computed; what it raises stops the work.
    """
    for band, pixels in windows:
        rows = sink.allocate(band)
        renderer(pixels, band.above, slice(band.first, band.last), rows)
        sink.put(band, rows)
        if progress is not None:
            progress(band.last, height)


def run_array(
    image: Any,
    out: Image,
    renderer: BandRenderer,
    plan: BandPlan,
    progress: RowsCallback | None = None,
) -> None:
    """Render the bands of a plan from an image that is held in memory, in place, to an array."""
    windows = ((band, np.asarray(image[band.above : band.below])) for band in plan)
    render_bands(windows, renderer, _ArraySink(out), plan.height, progress)


@dataclass(frozen=True)
class _ArraySink:
    """Bands of an array; see `BandSink`."""

    out: Image

    def allocate(self, band: Band) -> Image:
        return self.out[band.first : band.last]

    def put(self, band: Band, rows: Image) -> None:
        pass


def run(
    source: Source,
    sink: Sink,
    renderer: BandRenderer,
    plan: BandPlan,
    progress: RowsCallback | None = None,
) -> None:
    """Render the bands of a plan from a source to a sink, in order.

    One thread reads, the calling one computes, one writes; what goes wrong in any of them, Ctrl-C
    included, stops all three within a band and is raised here.

    Args:
        source: read from top to bottom, each row once.
        sink: takes the bands in order.
        renderer: makes them.
        plan: parts them.
        progress: called with rows done and rows in all, from the calling thread, when a band was
            computed; what it raises stops the work.

    Raises:
        InputError: the source gives other rows than its shape and dtype say, or ends early.
    """
    read: _Channel[Image] = _Channel(DEPTH)
    computed: _Channel[tuple[Band, Image]] = _Channel(DEPTH)
    queue = _QueueSink(computed, plan, renderer)

    def reading() -> None:
        below = None
        for band in plan:
            top = band.above if below is None else below
            read.put(_read_rows(source, top, band.below))
            below = band.below

    def writing() -> None:
        for band, rows in computed:
            sink[band.first : band.last] = rows
            queue.used.append(rows)

    threads = [
        threading.Thread(target=_run_stage, args=(stage, channel), name=f"drht {name}", daemon=True)
        for name, stage, channel in (("read", reading, read), ("write", writing, computed))
    ]
    for thread in threads:
        thread.start()
    try:
        render_bands(_windows(read, plan), renderer, queue, plan.height, progress)
        computed.end()
        computed.wait()
    finally:
        read.close()
        computed.close()
        for thread in threads:
            thread.join()


class _QueueSink:
    """Bands on their way to the thread that writes, in arrays that are used again."""

    def __init__(
        self, computed: _Channel[tuple[Band, Image]], plan: BandPlan, renderer: BandRenderer
    ) -> None:
        self.used: deque[Image] = deque()
        self._computed, self._plan, self._renderer = computed, plan, renderer

    def allocate(self, band: Band) -> Image:
        rows = self.used.popleft() if self.used else _empty(self._plan, self._renderer)
        # Only the last band is shorter, and its array is not used again.
        return rows[: band.last - band.first]

    def put(self, band: Band, rows: Image) -> None:
        self._computed.put((band, rows))


def _empty(plan: BandPlan, renderer: BandRenderer) -> Image:
    rows = min(plan.rows, plan.height)
    return np.empty((rows, *renderer.row_shape), renderer.dtype)


def _read_rows(source: Source, top: int, bottom: int) -> Image:
    """Rows of a source, which are what it promised."""
    if top == bottom:
        return np.empty((0, *source.shape[1:]), source.dtype)
    rows = np.asarray(source[top:bottom])
    if rows.shape[1:] != tuple(source.shape[1:]) or rows.dtype != np.dtype(source.dtype):
        raise InputError(
            f"the source gave {rows.dtype} {rows.shape[1:]} at row {top}; "
            f"expected {source.dtype} {tuple(source.shape[1:])}"
        )
    if len(rows) != bottom - top:
        raise InputError(
            f"the source ends early: {len(rows)} of {bottom - top} rows from row {top} on, "
            f"of {source.shape[0]}"
        )
    return rows


def _windows(read: _Channel[Image], plan: BandPlan) -> Iterator[tuple[Band, Image]]:
    """Bands with their input rows; the rows that the next band needs too are kept."""
    kept: Image | None = None
    for band in plan:
        fresh = read.get()
        pixels = fresh if kept is None or not len(kept) else np.concatenate([kept, fresh])
        kept = pixels[max(band.last - plan.halo, 0) - band.above :] if plan.halo else None
        yield band, pixels


class _Closed(Exception):
    """The other end of a channel is gone."""


class _Channel(Generic[Item]):
    """A queue of few places between two threads, that either end can close for both."""

    def __init__(self, depth: int) -> None:
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._depth = depth
        self._ended = self._closed = self._finished = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Wait for a place; raises what closed the channel."""
        with self._changed:
            self._wait_for(lambda: len(self._items) < self._depth)
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """Wait for an item; raises what closed the channel, `_Closed` after the last item."""
        with self._changed:
            self._wait_for(lambda: bool(self._items) or self._ended)
            if not self._items:
                raise _Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[Item]:
        while True:
            try:
                item = self.get()
            except _Closed:
                return
            yield item

    def end(self) -> None:
        """No more items will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until the taking end is done with every item; raises what closed the channel."""
        with self._changed:
            self._wait_for(lambda: self._finished)

    def close(self, error: BaseException | None = None) -> None:
        """Wake both ends up to stop; the first error is what they are told."""
        with self._changed:
            self._error = self._error or error
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def finish(self) -> None:
        """The taking end is done."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def _wait_for(self, ready: Callable[[], bool]) -> None:
        while not (self._closed or ready()):
            self._changed.wait(_POLL)
        if self._error is not None:
            raise self._error
        if self._closed:
            raise _Closed


def _run_stage(work: Callable[[], None], channel: _Channel[Any]) -> None:
    """A thread's whole life: what it raises closes its channel, and so reaches the other end."""
    try:
        work()
        channel.finish()
    except _Closed:
        pass
    except BaseException as error:
        channel.close(error)
