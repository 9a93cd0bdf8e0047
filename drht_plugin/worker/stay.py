"""A worker that stays: it serves the clients of a listening Unix socket, and keeps the networks.

A client starts it with the socket as stdin, as inetd does. So the client can connect before the
worker runs, and the worker needs no name for the socket that holds in both of their file systems.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from drht_plugin.engine.weigh import Correctors
from drht_plugin.errors import DrhtError, InputError
from drht_plugin.interrupts import ended_by_signals
from drht_plugin.storage import FileIdentity, identity_of
from drht_plugin.worker import peers
from drht_plugin.worker.served import ServedClient

LOG_SUFFIX = ".log"
"""Of the file beside the socket that stderr may go to; it is removed with the socket."""

_TICK = 0.5
"""Longest time between looks at clients and at the parent (seconds)."""

_ARENA_MAX = -8
"""Number of glibc's option for the most arenas (M_ARENA_MAX)."""

_STOP_SECONDS = 15.0
"""How long the job of a client that has gone may take to stop; then the process has to end.

Loading the networks and a tile of network detail take their time on a busy machine."""


def stay(
    *,
    idle: float,
    parent: int | None = None,
    model: str = "default",
    device: str = "auto",
    threads: int | None = None,
    backend: str = "auto",
    max_bytes: int | None = None,
) -> NoReturn:
    """Serve the clients of the listening Unix socket that is stdin, then end the process.

    It ends when the parent ends, when there has been no client for a time, when another version of
    the package has been installed, and when a job cannot be stopped whose client has gone.

    Args:
        idle: how long it stays without a client, in seconds.
        parent: number of the process that it ends with; None, and one that cannot be seen from
            here, are not waited for.
        model: see `Corrector`.
        device: see `Corrector`.
        threads: see `Corrector`.
        backend: see `Corrector`.
        max_bytes: greatest size of a picture's file; None is limited by the free space only.

    Raises:
        InputError: stdin is no listening Unix socket, or idle is not above 0.
    """
    if not idle > 0:
        raise InputError(f"--stay is {idle}; expected seconds above 0")
    listener = _listener()
    _share_one_arena()
    correctors = Correctors(model, device, threads, backend)
    house = _House(listener, lambda each: ServedClient(each, correctors, model, max_bytes))
    with ended_by_signals(lambda number: house.end(128 + number)):
        threading.Thread(target=_load, args=(correctors,), daemon=True).start()
        house.serve(idle, _watch(parent))


class _House:
    """The clients and the socket that they come by."""

    def __init__(
        self, listener: socket.socket, admit: Callable[[socket.socket], ServedClient]
    ) -> None:
        self._listener, self._admit = listener, admit
        self._clients: list[ServedClient] = []
        self._open = True
        self._lock = threading.RLock()  # of clients and socket, whichever thread ends the process

    def serve(self, idle: float, parent_ended: Callable[[], bool]) -> NoReturn:
        """Serve clients until there is a reason to end."""
        installed, last = _installation(), time.monotonic()
        while not parent_ended():
            self._accept(_TICK)
            if self._open and _installation() != installed:
                self._close()
            at_work = self._look_after_clients()
            if any(each.has_left_for() > _STOP_SECONDS for each in self._clients):
                self._close()
            if at_work:
                last = time.monotonic()
            elif not self._open or time.monotonic() - last > idle:
                break
        self.end(0)

    def end(self, code: int) -> NoReturn:
        """End the process at once, from any thread, during work too; nothing is left of it."""
        try:
            self._lock.acquire()  # for good
            self._close()
            for client in self._clients:
                client.close()
        finally:
            os._exit(code)

    def _accept(self, seconds: float) -> None:
        if not self._open:
            time.sleep(seconds)
            return
        if not select.select([self._listener], [], [], seconds)[0]:
            return
        with self._lock, suppress(OSError):  # the client has gone again
            connection, _ = self._listener.accept()
            connection.setblocking(True)
            if peers.is_own(connection):
                self._clients.append(self._admit(connection))
            else:
                connection.close()

    def _look_after_clients(self) -> bool:
        """Forget clients that have gone; return whether any is served, and work can go on."""
        before = len(self._clients)
        self._clients = [each for each in self._clients if each.is_served]
        if before and not self._clients:
            _give_memory_back()
        # The process need not wait for jobs that do not stop.
        return any(each.has_left_for() <= _STOP_SECONDS for each in self._clients)

    def _close(self) -> None:
        """Refuse new clients, which start another worker then."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            path = self._listener.getsockname()
            if isinstance(path, str) and path:
                with suppress(OSError):
                    if stat.S_ISSOCK(os.lstat(path).st_mode):
                        os.unlink(path)
                        os.unlink(Path(path).with_suffix(LOG_SUFFIX))
            self._listener.close()


def _listener() -> socket.socket:
    """Take the socket from stdin; later reads of stdin find nothing.

    Raises:
        InputError: stdin is no listening Unix socket.
    """
    try:
        listener = socket.socket(fileno=os.dup(0))
        family, kind = listener.family, listener.type
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if not listens or family != socket.AF_UNIX or kind != socket.SOCK_STREAM:
            raise OSError("it does not listen, or is of another kind")
    except (OSError, AttributeError) as error:
        raise InputError(
            f"stdin is no listening Unix socket, which --stay needs: {error} "
            "(docs/worker-protocol.md)"
        ) from error
    listener.setblocking(False)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return listener


def _watch(parent: int | None) -> Callable[[], bool]:
    """Return a function that says whether the parent has ended."""
    if parent is None:
        return lambda: False
    try:
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(parent)
            return lambda: bool(select.select([descriptor], [], [], 0)[0])
        os.kill(parent, 0)
    except OSError:
        return lambda: False
    return lambda: not _is_there(parent)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it belongs to somebody else
    return True


def _installation() -> FileIdentity | None:
    """Return what changes when another version of the package is installed in this place."""
    from drht_plugin import _version

    return identity_of(_version.__file__)


def _load(correctors: Correctors) -> None:
    """Load the networks before the first client needs them; its requests report failures."""
    with suppress(DrhtError, OSError):
        _ = correctors.for_work(0).runner


def _share_one_arena() -> None:
    """Let all threads allocate from one arena of the C library.

    Each client has threads of its own. With arenas of their own, what one frees is of no use to the
    next, and the process grows to the size of several.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def _give_memory_back() -> None:
    """Return freed memory to the system, where the C library would keep it."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
