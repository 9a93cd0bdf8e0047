"""Signals are noticed whatever the main thread waits for, and by the process that they are for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from drht_plugin.interrupts import interrupt_main_thread, interruptible, told_at_once

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

FORKED = """
import os, signal, time
from drht_plugin.interrupts import told_at_once
told = []
signal.signal(signal.SIGTERM, lambda *_: None)
with told_at_once(told.append):
    if not (child := os.fork()):
        signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    time.sleep(0.2)
    assert told == [], told
    signal.raise_signal(signal.SIGTERM)
assert told == [signal.SIGTERM], told
"""


def test_a_forked_process_keeps_its_signals() -> None:
    """What a forked child is sent is not told to its parent; what the parent is sent is."""
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)


def test_what_was_there_comes_back() -> None:
    """After the body, the descriptor and the handler of before are Python's again."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    try:
        with interruptible(), told_at_once(lambda number: None):
            assert callable(signal.getsignal(signal.SIGURG))
        assert signal.getsignal(signal.SIGURG) == signal.SIG_DFL
        assert signal.set_wakeup_fd(before) == writing
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def test_a_blocked_call_is_interrupted() -> None:
    """A lock that the main thread waits for lets handlers run when another thread asks for it."""

    class Heard(Exception):
        pass

    def hear(*_: object) -> None:
        raise Heard

    def ask() -> None:
        mask = {signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, mask)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGUSR1)  # this thread alone takes it
        time.sleep(0.2)
        interrupt_main_thread()

    before = signal.signal(signal.SIGUSR1, hear)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        with interruptible():
            thread = threading.Thread(target=ask)
            thread.start()
            with pytest.raises(Heard):
                threading.Event().wait(30)
            thread.join()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, before)
