"""The worker's process: serves a session over stdin and stdout, and ends with its client."""

from __future__ import annotations

import os
import sys
import threading
from functools import partial
from typing import NoReturn

from drht_plugin.engine.weigh import Correctors
from drht_plugin.errors import InputError
from drht_plugin.interrupts import ended_by_signals
from drht_plugin.worker import frames
from drht_plugin.worker.pictures import PictureStore
from drht_plugin.worker.requests import Requests
from drht_plugin.worker.session import ProtocolError, Session, say_last

_USAGE = 2


def serve(
    *,
    model: str = "default",
    device: str = "auto",
    threads: int | None = None,
    backend: str = "auto",
    max_bytes: int | None = None,
) -> NoReturn:
    """Answer requests until stdin ends, then end the process at once, even during work.

    Args:
        model: see `Corrector`.
        device: see `Corrector`.
        threads: see `Corrector`.
        backend: see `Corrector`.
        max_bytes: greatest size of a picture's file; None is limited by the free space only.

    Raises:
        InputError: stdin is a terminal.
    """
    if sys.stdin.isatty():
        raise InputError(
            "the worker is for programs: it speaks a binary protocol over stdin and stdout "
            "(docs/worker-protocol.md); stdin is a terminal"
        )
    pictures = PictureStore(max_bytes)
    replies = Replies(pictures)
    correctors = Correctors(model, device, threads, backend)
    session = Session(correctors, model, pictures, replies.send)
    requests = Requests()
    listener = threading.Thread(target=_listen, args=(requests, replies, pictures), daemon=True)
    with ended_by_signals(lambda number: end_process(pictures, 128 + number)):
        listener.start()
        try:
            for request in requests:
                session.handle(request)
        except ProtocolError:
            end_process(pictures, _USAGE)
    raise AssertionError("the requests end with the process")


class Replies:
    """Sender of replies on the original stdout; anything printed goes to stderr instead.

    Args:
        pictures: closed when the process ends because its client has gone.
    """

    def __init__(self, pictures: PictureStore) -> None:
        self._pictures, self._lock = pictures, threading.RLock()
        sys.stdout.flush()
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        if sys.platform == "win32":
            import msvcrt

            for descriptor in (0, self._descriptor):
                msvcrt.setmode(descriptor, os.O_BINARY)

    def send(self, message: frames.Message) -> None:
        """Send a message, from any thread; ends the process if the client has gone."""
        view = memoryview(frames.encode(message))
        try:
            with self._lock:
                while view:
                    view = view[os.write(self._descriptor, view) :]
        except OSError:
            end_process(self._pictures, 0)


def end_process(pictures: PictureStore, code: int) -> NoReturn:
    """End the process at once, from any thread, without waiting for work in other threads.

    Args:
        pictures: their files are removed.
        code: exit code.
    """
    try:
        pictures.close()
    finally:
        os._exit(code)


def _listen(requests: Requests, replies: Replies, pictures: PictureStore) -> None:
    """Queue requests from stdin; end the process when stdin ends or is not the protocol."""
    code = 0
    try:
        requests.read_from(partial(os.read, 0))
    except frames.FrameError as error:
        code = _USAGE
        say_last(replies.send, str(error))
    except BaseException:
        code = _USAGE
    finally:
        end_process(pictures, code)
