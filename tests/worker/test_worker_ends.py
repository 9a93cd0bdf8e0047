"""However its client behaves, the worker ends with it, and nothing of it is left for long."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from strategies import picture
from test_worker_process import _BUSY, Client, client, hang_up

import drht_plugin
from drht_plugin.worker.frames import Message

SURVEY: Message = {"type": "survey", "picture": 0, "transfer": "srgb", "wrap": False}

TALKATIVE = """
import sys
from drht_plugin.cli import main
from drht_plugin.engine.corrector import Corrector
def survey(self, image, **settings):
    for step in range(10**9):
        settings["progress"](1.0 + step)
Corrector.survey = survey
sys.exit(main(["worker"]))
"""


DEAF = """
import signal
from drht_plugin.cli import main
from drht_plugin.engine.corrector import Corrector
hear = Corrector.survey
def deaf(self, image, **settings):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    hear(self, image, **settings)
Corrector.survey = deaf
sys.exit(main(["worker"]))
"""
"""A worker to whose main thread the system gives no signal: another thread's does not end a write
there, as one does not that comes just before the write."""


def stuck(worker: Client) -> None:
    """Have the worker wait for a client that reads none of its replies."""
    worker.allocate(np.zeros((9, 9, 3), np.uint8))
    worker.send(**SURVEY)
    time.sleep(1.0)  # the pipe is full long before
    assert worker.process.poll() is None


@pytest.mark.parametrize("end", ["stdin", "flood", "nonsense", "SIGTERM", "SIGHUP"])
def test_a_client_that_does_not_read(end: str) -> None:
    """A worker whose replies nobody reads ends with stdin, by a signal, and after bad frames."""
    with client("-c", TALKATIVE) as worker:
        stuck(worker)
        assert worker.process.stdin is not None
        if end == "stdin":
            hang_up(worker)
        elif end == "flood":
            for _ in range(70):
                worker.send(type="status")
        elif end == "nonsense":
            worker.process.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
            worker.process.stdin.flush()
        else:
            worker.process.send_signal(getattr(signal, end))
        code = worker.process.wait(20)
        assert code == {"stdin": 0, "SIGTERM": 143, "SIGHUP": 129}.get(end, 2)


@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_that_interrupts_no_write(end: str) -> None:
    """A worker that waits for its client ends with the signal, whichever thread is given it."""
    without_start = TALKATIVE.rpartition("sys.exit")[0]
    with client("-c", without_start + DEAF) as worker:
        stuck(worker)
        time.sleep(1.0)  # the networks are loaded first
        worker.process.send_signal(getattr(signal, end))
        assert worker.process.wait(20) == 128 + getattr(signal, end)


def test_a_file_that_is_cut() -> None:
    """Survey, render and shrink of a cut file are refused; whole again, it is served."""
    image = picture(300, 400, 3, "uint8", 0, (0.0, 0.4))
    with client() as worker:
        place = worker.allocate(image)
        with open(place["path"], "r+b") as file:
            file.write(image.tobytes())
            file.flush()
            assert worker.ask(**SURVEY)["type"] == "done"
            for size in (0, 4096, image.nbytes // 2):
                os.truncate(file.fileno(), size)
                for reply in (
                    worker.ask(**SURVEY),
                    worker.ask(type="shrink", picture=0, side=30),
                    worker.render(),
                ):
                    assert reply["type"] == "error"
                    assert "file ends after" in reply["message"] or "surveyed" in reply["message"]
            file.seek(0)
            file.write(image.tobytes())
            file.flush()
            assert worker.ask(**SURVEY)["type"] == "done"
            assert worker.render()["type"] == "done"
            file.seek(place["result"])
            result = np.frombuffer(file.read(image.nbytes), np.uint8).reshape(image.shape)
    np.testing.assert_array_equal(result, drht_plugin.correct(image))


def test_a_file_that_is_cut_at_any_moment() -> None:
    """Cutting the file while the worker reads and writes it costs the reply, never the worker."""
    chance = random.Random(4)
    image = np.full((3000, 2000, 3), 60, np.uint8)
    with client() as worker:
        place = worker.allocate(image)
        with open(place["path"], "r+b") as file:
            for _ in range(12):
                os.truncate(file.fileno(), place["bytes"])
                for request in (SURVEY, None):
                    if request:
                        worker.send(**request)
                    else:
                        settings = {"strength": 1.0, "shadows": 1.0, "highlights": 1.0}
                        worker.send(type="render", picture=0, detail="guided", **settings)
                    time.sleep(chance.random() * 0.15)
                    os.truncate(file.fileno(), chance.choice([0, 5000, image.nbytes // 2]))
            assert worker.process.poll() is None
        hang_up(worker)
        worker.process.communicate(timeout=60)
        assert worker.process.returncode == 0


def test_what_a_killed_worker_leaves_is_removed() -> None:
    """The next worker removes the file of a killed one, and not that of a living one."""
    image = np.zeros((9, 9, 3), np.uint8)
    with client("-c", _BUSY) as alive, client("-c", _BUSY) as killed:
        kept = Path(alive.allocate(image)["path"])
        left = Path(killed.allocate(image)["path"])
        foreign = left.with_name("drht-0123456789abcdef")  # no name of ours
        foreign.write_bytes(b"")
        try:
            killed.process.kill()
            killed.process.wait()
            assert left.exists()
            with client("-c", _BUSY) as following:
                following.allocate(image)
                assert not left.exists()
                assert kept.exists()
                assert foreign.exists()
        finally:
            foreign.unlink()
