"""Signals that are noticed whatever the main thread waits for.

Python runs the handler of a signal in the main thread, between two bytecodes. A signal that comes
just before a call that blocks, or that the system gives to another thread, does not end that call:
a write to a pipe that nobody reads would go on for ever.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

_ours: set[int] = set()
"""The descriptors that Python writes the numbers of signals to, by this module's doing."""


def ending_signals() -> list[signal.Signals]:
    """Return the signals that ask a process to end: SIGINT, and those of the rest that exist."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [getattr(signal, each) for each in names if hasattr(signal, each)]


@contextmanager
def told_at_once(tell: Callable[[int], None]) -> Iterator[None]:
    """Call a function in a thread of its own for each signal that comes during the body.

    The signals' handlers run in the main thread as well, as soon as it can. Call this there.

    Args:
        tell: takes the number of any signal that has a handler in Python. It must end soon after
            the body does.
    """
    near, far = socket.socketpair()
    with near, far:
        far.setblocking(False)
        descriptor = far.fileno()
        before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        _ours.add(descriptor)
        thread = threading.Thread(target=_tell, args=(near, tell), name="drht signals", daemon=True)
        thread.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            _ours.discard(descriptor)
            far.shutdown(socket.SHUT_WR)
            thread.join()


@contextmanager
def ended_by_signals(end: Callable[[int], NoReturn]) -> Iterator[None]:
    """End the process on SIGINT, SIGTERM and SIGHUP, whatever its threads wait for.

    A signal that the parent has had ignored stays ignored. Call this in the main thread.

    Args:
        end: ends the process for a signal's number. It is called in a thread of its own.
    """
    ours = [each for each in ending_signals() if signal.getsignal(each) != signal.SIG_IGN]
    for each in ours:
        signal.signal(each, lambda *_: None)
    with told_at_once(lambda number: end(number) if number in ours else None):
        yield


def interrupt_main_thread() -> None:
    """End the call that blocks the main thread, if one does, so that handlers of signals run.

    Does nothing on Windows.
    """
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGURG)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have `interrupt_main_thread` work during the body. Call this in the main thread."""
    number = getattr(signal, "SIGURG", None)
    # Ignored by default, so that one that comes late is harmless.
    if number is None or signal.getsignal(number) != signal.SIG_DFL:
        yield
        return
    signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL)


def _tell(near: socket.socket, tell: Callable[[int], None]) -> None:
    while numbers := near.recv(64):
        for number in numbers:
            tell(number)


def _forget() -> None:
    """Leave the descriptor to the parent, which a signal of this process is not for."""
    descriptor = signal.set_wakeup_fd(-1)
    if descriptor not in _ours and descriptor != -1:
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
    _ours.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
