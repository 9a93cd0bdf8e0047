"""The worker's process: a session between stdin and stdout that ends when its client does."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from functools import partial
from typing import NoReturn

from drht_plugin.engine.corrector import Corrector
from drht_plugin.errors import InputError
from drht_plugin.worker import frames
from drht_plugin.worker.pictures import PictureStore
from drht_plugin.worker.session import ProtocolError, Session

MOST_WAITING = 64
"""Requests that may wait; a client that sends more does not wait for replies."""

_USAGE, _INTERRUPTED, _TERMINATED = 2, 130, 143


def serve(
    *,
    model: str = "default",
    device: str = "auto",
    threads: int | None = None,
    most: int | None = None,
) -> NoReturn:
    """Answer requests until stdin ends, then end the process at once, whatever is being done.

    model, device, threads: as for `Corrector`; most: bytes that a picture's file may have.

    Raises:
        InputError: stdin is a terminal.
    """
    if sys.stdin.isatty():
        raise InputError(
            "the worker is for programs: it speaks a binary protocol over stdin and stdout "
            "(docs/worker-protocol.md); stdin is a terminal"
        )
    pictures = PictureStore(most)
    replies = Replies(pictures)
    corrector = Corrector(model=model, device=device, threads=threads)
    session = Session(corrector, model, pictures, replies.send)
    signal.signal(signal.SIGTERM, lambda *_: leave(pictures, _TERMINATED))
    requests: queue.Queue[frames.Message] = queue.Queue()
    threading.Thread(target=_listen, args=(requests, replies, pictures), daemon=True).start()
    try:
        while True:
            session.handle(requests.get())
    except ProtocolError:
        leave(pictures, _USAGE)
    except KeyboardInterrupt:
        leave(pictures, _INTERRUPTED)


class Replies:
    """Where replies go, from any thread; what is printed by chance goes to stderr."""

    def __init__(self, pictures: PictureStore) -> None:
        self._pictures, self._turn = pictures, threading.RLock()
        sys.stdout.flush()
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        if sys.platform == "win32":
            import msvcrt

            for descriptor in (0, self._descriptor):
                msvcrt.setmode(descriptor, os.O_BINARY)

    def send(self, message: frames.Message) -> None:
        """Write a message; a client that is gone ends the process."""
        view = memoryview(frames.encode(message))
        try:
            with self._turn:
                while view:
                    view = view[os.write(self._descriptor, view) :]
        except OSError:
            leave(self._pictures, 0)


def leave(pictures: PictureStore, code: int) -> NoReturn:
    """End now, from any thread: kernels and networks in other threads are not waited for."""
    pictures.close()
    os._exit(code)


def _listen(
    requests: queue.Queue[frames.Message], replies: Replies, pictures: PictureStore
) -> None:
    """Pass requests on; end the process when stdin ends or what it brings means nothing."""
    try:
        while (message := frames.read(partial(os.read, 0))) is not None:
            if requests.qsize() >= MOST_WAITING:
                raise frames.FrameError(f"more than {MOST_WAITING} requests wait")
            requests.put(message)
    except frames.FrameError as error:
        replies.send({"type": "error", "id": None, "code": "frame", "message": str(error)})
        leave(pictures, _USAGE)
    except OSError:
        leave(pictures, _USAGE)
    leave(pictures, 0)
