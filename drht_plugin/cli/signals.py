"""Signals that end the command, with the cleaning up that Ctrl-C has."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

from drht_plugin.interrupts import (
    ending_signals,
    interrupt_main_thread,
    interruptible,
    told_at_once,
)

_AGAIN = 0.05
"""How often a call that blocks the main thread is interrupted until the handler runs (seconds)."""


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end.

    Attributes:
        code: exit code of the process, 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


_first: int | None = None


@contextmanager
def stopping(*, ends: bool) -> Iterator[None]:
    """Raise `Stopped` in the main thread on SIGINT, SIGTERM and SIGHUP, whatever it waits for.

    A signal that the parent has had ignored, such as SIGHUP under nohup, stays ignored.

    Args:
        ends: whether the process ends after the body. Then a later signal ends it at once, since
            there is nothing left to clean up; otherwise the handlers of before come back.
    """
    global _first
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _first = None
    known = ending_signals()
    expected = (signal.SIG_DFL, signal.default_int_handler)
    before = {each: signal.getsignal(each) for each in known}
    ours = [each for each in known if before[each] in expected]
    for each in ours:
        signal.signal(each, _stop)
    ended = threading.Event()
    try:
        with interruptible(), told_at_once(partial(_see_to, ours, ended)):
            try:
                yield
            finally:
                ended.set()
    finally:
        for each in ours:
            signal.signal(each, signal.SIG_DFL if ends else before[each])


def check_stopped() -> None:
    """Raise `Stopped` again after a signal whose exception was swallowed.

    Python drops what is raised in destructors and in callbacks of C libraries.

    Raises:
        Stopped: a signal has come.
    """
    if _first is not None:
        raise Stopped(_first)


def _stop(number: int, _frame: FrameType | None) -> None:
    global _first
    again, _first = _first is not None, number if _first is None else _first
    if again and number != signal.SIGINT:
        return  # a supervisor sends several; the cleaning up goes on
    raise Stopped(_first)


def _see_to(ours: list[signal.Signals], ended: threading.Event, number: int) -> None:
    """Interrupt the main thread until it has run the handler of a signal."""
    while number in ours and _first is None and not ended.wait(_AGAIN):
        interrupt_main_thread()
