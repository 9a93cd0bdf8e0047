"""Requests on their way from a stream to the session, which works on one at a time."""

from __future__ import annotations

import queue
from collections.abc import Iterator

from drht_plugin.worker import frames

MAX_WAITING = 64
"""How many requests may wait; a client that sends more ignores the replies."""


class Requests:
    """Requests that wait: one thread reads them from a stream, another takes them."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[frames.Message | None] = queue.Queue()

    def read_from(self, source: frames.Read) -> None:
        """Queue the requests of a stream until it ends.

        Args:
            source: reads bytes from the stream.

        Raises:
            FrameError: the bytes are no frames, or more than `MAX_WAITING` requests wait.
            OSError: the stream is broken.
        """
        while (message := frames.read(source)) is not None:
            if self._waiting.qsize() >= MAX_WAITING:
                raise frames.FrameError(f"more than {MAX_WAITING} requests wait")
            self._waiting.put(message)

    def end(self) -> None:
        """Drop what waits, and end the iteration."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put(None)

    def __iter__(self) -> Iterator[frames.Message]:
        """Yield requests as they come, until `end` is called."""
        while (message := self._waiting.get()) is not None:
            yield message
