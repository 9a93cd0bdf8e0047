"""Stream bands from a source to a sink: read, compute and write at the same time.

The memory depends on the rows of a band, not on the image's height.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.bands import DEPTH, Band, BandPlan, BandRenderer, Finish, Watch
from drht_plugin.engine.progress import RowsCallback
from drht_plugin.engine.source import Sink, Source, read_rows

Image = npt.NDArray[Any]
Item = TypeVar("Item")

_POLL = 0.2
"""Seconds between checks while waiting: on some platforms a lock that waits ignores Ctrl-C."""


class BandSink(Protocol):
    """Destination of rendered bands."""

    def allocate(self, band: Band) -> Image:
        """Return an array for the band's rows.

        Args:
            band: the band to render.
        """
        ...

    def put(self, band: Band, rows: Image) -> None:
        """Take the rows of a band, in the array that `allocate` returned.

        Args:
            band: the rendered band.
            rows: its rows.
        """
        ...


def render_bands(
    windows: Iterable[tuple[Band, Image]],
    renderer: BandRenderer,
    sink: BandSink,
    height: int,
    progress: RowsCallback | None = None,
) -> None:
    """Render bands in order, each started before the ones ahead of it are waited for.

    Args:
        windows: bands, with the input rows that each needs.
        renderer: renders them.
        sink: takes them.
        height: rows of the whole image, for the progress.
        progress: called with rows done and rows in all, after each band and, where a band takes
            long, within it; an exception that it raises stops the work.
    """
    started: deque[tuple[Band, Finish]] = deque()

    def watch_rows(band: Band) -> Watch | None:
        if progress is None or renderer.ahead:
            return None
        return lambda share: progress(band.first + int(share * (band.last - band.first)), height)

    def finish_first() -> None:
        band, finish = started.popleft()
        rows = sink.allocate(band)
        finish(rows)
        sink.put(band, rows)
        if progress is not None:
            progress(band.last, height)

    for band, pixels in windows:
        rows = slice(band.first, band.last)
        started.append((band, renderer.begin(pixels, band.above, rows, watch_rows(band))))
        if len(started) > renderer.ahead:
            finish_first()
    while started:
        finish_first()


def run_array(
    image: Any,
    out: Image,
    renderer: BandRenderer,
    plan: BandPlan,
    progress: RowsCallback | None = None,
) -> None:
    """Render the bands of a plan from an array to an array.

    Args:
        image: input pixels, which can be sliced by rows.
        out: array for the result.
        renderer: renders the bands.
        plan: how the rows are split into bands.
        progress: called after each band with rows done and rows in all; an exception that it raises
            stops the work.
    """
    windows = ((band, read_rows(image, band.above, band.below)) for band in plan)
    render_bands(windows, renderer, _ArraySink(out), plan.height, progress)


@dataclass(frozen=True)
class _ArraySink:
    """Sink of bands that are rendered in place; see `BandSink`."""

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

    One thread reads, the calling thread computes and one thread writes. An exception in any of
    them, Ctrl-C included, stops all three within a band and is raised here.

    Args:
        source: read from top to bottom, each row once.
        sink: takes the rows in order.
        renderer: renders the bands.
        plan: how the rows are split into bands.
        progress: called from the calling thread after each band, with rows done and rows in all; an
            exception that it raises stops the work.

    Raises:
        InputError: the source gives rows that do not match its shape and dtype, or ends early.
    """
    read: _Channel[Image] = _Channel(DEPTH)
    computed: _Channel[tuple[Band, Image]] = _Channel(DEPTH)
    queue = _QueueSink(computed, plan, renderer)

    def reading() -> None:
        below = None
        for band in plan:
            top = band.above if below is None else below
            read.put(read_rows(source, top, band.below))
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
    """Sink that queues bands for the writing thread, in arrays that are reused; see `BandSink`."""

    def __init__(
        self, computed: _Channel[tuple[Band, Image]], plan: BandPlan, renderer: BandRenderer
    ) -> None:
        self.used: deque[Image] = deque()
        self._computed, self._plan, self._renderer = computed, plan, renderer

    def allocate(self, band: Band) -> Image:
        rows = self.used.popleft() if self.used else _empty(self._plan, self._renderer)
        # Only the last band is shorter, and its array is not reused.
        return rows[: band.last - band.first]

    def put(self, band: Band, rows: Image) -> None:
        self._computed.put((band, rows))


def _empty(plan: BandPlan, renderer: BandRenderer) -> Image:
    """Return an array for the rows of a band."""
    rows = min(plan.rows, plan.height)
    return np.empty((rows, *renderer.row_shape), renderer.dtype)


def _windows(read: _Channel[Image], plan: BandPlan) -> Iterator[tuple[Band, Image]]:
    """Yield bands with their input rows; rows that the next band needs too are kept."""
    kept: Image | None = None
    for band in plan:
        fresh = read.get()
        pixels = fresh if kept is None or not len(kept) else np.concatenate([kept, fresh])
        kept = pixels[max(band.last - plan.halo, 0) - band.above :] if plan.halo else None
        yield band, pixels


class _Closed(Exception):
    """Raised when the other end of a channel has stopped."""


class _Channel(Generic[Item]):
    """Short queue between two threads, which either end can close for both."""

    def __init__(self, depth: int) -> None:
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._depth = depth
        self._ended = self._closed = self._finished = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Add an item, once there is a place; raise what closed the channel."""
        with self._changed:
            self._wait_for(lambda: len(self._items) < self._depth)
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> Item:
        """Take the next item; raise what closed the channel, or `_Closed` after the last item."""
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
        """Tell the taking end that no more items will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until the taking end has finished; raise what closed the channel."""
        with self._changed:
            self._wait_for(lambda: self._finished)

    def close(self, error: BaseException | None = None) -> None:
        """Stop both ends; they raise the first error that was given."""
        with self._changed:
            self._error = self._error or error
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def finish(self) -> None:
        """Tell the other end that every item has been dealt with."""
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
    """Run a thread's work; an exception closes its channel, and so reaches the other end."""
    try:
        work()
        channel.finish()
    except _Closed:
        pass
    except BaseException as error:
        channel.close(error)
