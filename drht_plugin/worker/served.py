"""One of the clients of a worker that stays: its connection, its session and its pictures."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from drht_plugin.engine.weigh import Correctors
from drht_plugin.errors import Cancelled
from drht_plugin.worker import frames
from drht_plugin.worker.pictures import PictureStore
from drht_plugin.worker.requests import Requests
from drht_plugin.worker.session import ProtocolError, Session, say_last


class ServedClient:
    """A client that is served in threads of its own, until its connection ends.

    When it ends in mid job, the job is stopped where it next reports progress.

    Args:
        connection: to the client; it is closed at the end.
        correctors: the networks, which clients share.
        model: their name, for status replies.
        max_bytes: greatest size of a picture's file; None is limited by the free space only.
    """

    def __init__(
        self, connection: socket.socket, correctors: Correctors, model: str, max_bytes: int | None
    ) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self._pictures, self._requests = PictureStore(max_bytes), Requests()
        self._session = Session(correctors, model, self._pictures, self._send, self._require)
        self._left: float | None = None
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._reader.start()
        self._server.start()

    @property
    def is_served(self) -> bool:
        """Whether the client is there, or its last job is not stopped yet."""
        return self._server.is_alive()

    def has_left_for(self) -> float:
        """Return for how many seconds the client has been gone; 0 if it is there."""
        return 0.0 if self._left is None else time.monotonic() - self._left

    def close(self) -> None:
        """Remove the names of the client's files, as the process is about to end."""
        self._pictures.close()

    def _serve(self) -> None:
        try:
            for request in self._requests:
                self._session.handle(request)
        except (ProtocolError, Cancelled):
            pass
        finally:
            self._leave()
            self._reader.join()
            self._connection.close()

    def _listen(self) -> None:
        try:
            self._requests.read_from(self._connection.recv)
        except frames.FrameError as error:
            say_last(self._send_if_there, str(error))
        except OSError:
            pass  # the client was killed
        finally:
            self._leave()

    def _leave(self) -> None:
        """Let the session end: drop what waits, and wake a thread that waits for the client."""
        if self._left is None:
            self._left = time.monotonic()
        self._pictures.close()
        self._requests.end()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _send(self, message: frames.Message) -> None:
        try:
            with self._lock:
                self._connection.sendall(frames.encode(message))
        except OSError:
            raise Cancelled("the client has gone") from None

    def _send_if_there(self, message: frames.Message) -> None:
        with suppress(Cancelled):
            self._send(message)

    def _require(self) -> None:
        if self._left is not None:
            raise Cancelled("the client has gone")
