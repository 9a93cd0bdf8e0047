"""`drht worker` as a process, with the shipped networks."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import profiles
import pytest
from strategies import picture

import drht_plugin
from drht_plugin.worker import frames
from drht_plugin.worker.frames import Message


class Client:
    """The other end of a worker."""

    def __init__(self, *command: str) -> None:
        words = command or ("-m", "drht_plugin.cli", "worker")
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.progress: list[float] = []
        self._number = 0

    def send(self, **request: Any) -> None:
        """Send a request."""
        assert self.process.stdin is not None
        self._number += 1
        self.process.stdin.write(frames.encode({"id": self._number, **request}))
        self.process.stdin.flush()

    def ask(self, **request: Any) -> Message:
        """Send a request; its last reply."""
        assert self.process.stdout is not None
        self.send(**request)
        while True:
            reply = frames.read(self.process.stdout.read)
            assert reply is not None
            assert reply["id"] == self._number
            if reply["type"] != "progress":
                return reply
            self.progress.append(reply["share"])

    def allocate(self, image: Any) -> Message:
        """Have a file for a picture."""
        height, width, channels = image.shape
        return self.ask(
            type="allocate", height=height, width=width, channels=channels, dtype=image.dtype.name
        )

    def render(self, number: int = 0, **settings: Any) -> Message:
        """Have a picture rendered."""
        full = {"strength": 1.0, "shadows": 1.0, "highlights": 1.0, "detail": "auto"}
        return self.ask(type="render", picture=number, **{**full, **settings})


@contextmanager
def client(*command: str) -> Iterator[Client]:
    """A client that has greeted its worker."""
    made = Client(*command)
    try:
        assert made.ask(type="hello", protocol=1)["type"] == "done"
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def hang_up(worker: Client, *expected: type[Exception]) -> None:
    """Close the worker's stdin."""
    assert worker.process.stdin is not None
    with suppress(*expected):
        worker.process.stdin.close()
    worker.process.stdin = None


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_picture_is_corrected() -> None:
    """Survey and render by frames give what correct() gives; the sliders need no new survey."""
    image = picture(50, 70, 4, "uint16", 0, (0.0, 0.4))
    with client() as worker:
        status = worker.ask(type="status")
        assert (status["version"], status["model"]) == (drht_plugin.__version__, "default")
        assert {"auto", "guided"} <= set(status["details"])
        place = worker.allocate(image)
        with open(place["path"], "r+b") as file:
            file.write(image.tobytes())
            file.flush()
            worker.ask(type="survey", picture=0, transfer="linear", wrap=True)
            assert not Path(place["path"]).exists()
            settings: Any
            details = [{"detail": each} for each in status["details"]]
            touch = {"exposure": 0.5, "temperature": -20, "tint": 7.5, "denoise": 0.5}
            strengths = {"shadows": 0.3}, {"strength": 0.0}, {"strength": 2}
            for settings in (*details, *strengths, touch, {"strength": 0, "exposure": -1}):
                assert worker.render(**settings)["type"] == "done"
                file.seek(place["result"])
                result = np.frombuffer(file.read(), image.dtype).reshape(image.shape)
                expected = drht_plugin.correct(image, transfer="linear", wrap=True, **settings)
                # Convolutions round by how threads share them: one 8-bit code, in linear light.
                most = 600 if settings.get("detail") == "network" else 0
                assert np.abs(result.astype(int) - expected).max() <= most
    assert worker.progress
    assert all(0 < share <= 1 for share in worker.progress)


def test_orientation_and_profile_may_be_given() -> None:
    """A survey by them is that of correct(); what is no profile is refused, and work goes on."""
    image = picture(50, 70, 3, "uint16", 0, (0.0, 0.4))
    profile = profiles.rgb("prophoto")
    survey: dict[str, Any] = {"type": "survey", "picture": 0, "transfer": "srgb", "wrap": False}
    with client() as worker:
        place = worker.allocate(image)
        with open(place["path"], "r+b") as file:
            file.write(image.tobytes())
            file.flush()
            usable: list[dict[str, Any]] = [
                {"orientation": 6, "profile": base64.b64encode(profile).decode()},
                {"orientation": 3},
                {"profile": None},
            ]
            for given in usable:
                assert worker.ask(**survey, **given)["type"] == "done"
                assert worker.render()["type"] == "done"
                file.seek(place["result"])
                result = np.frombuffer(file.read(), image.dtype).reshape(image.shape)
                settings = dict(given, profile=profile if given.get("profile") else None)
                np.testing.assert_array_equal(result, drht_plugin.correct(image, **settings))
        refused: list[tuple[dict[str, Any], str]] = [
            ({"profile": "no Base64!"}, "is not Base64"),
            ({"profile": [1, 2]}, "is not Base64"),
            ({"profile": "AAAA"}, "expected an ICC profile"),
            ({"orientation": 9}, "orientation is 9"),
            ({"speed": 1}, "and perhaps orientation, profile"),
        ]
        for given, words in refused:
            reply = worker.ask(**survey, **given)
            assert reply["code"] == "request"
            assert words in reply["message"]
        assert worker.ask(**survey)["type"] == "done"


def test_a_small_picture_shares_the_survey() -> None:
    """A shrunken picture is a mean over blocks, and is rendered as the whole was surveyed."""
    image = picture(64, 96, 3, "uint8", 0, (0.0, 0.4))
    with client() as worker:
        place = worker.allocate(image)
        with open(place["path"], "r+b") as file:
            file.write(image.tobytes())
        small = worker.ask(type="shrink", picture=0, side=24)
        assert (small["height"], small["width"]) == (16, 24)
        with open(small["path"], "rb") as file:
            worker.ask(type="survey", picture=0, transfer="srgb", wrap=False)
            assert worker.render(small["picture"], detail="guided")["type"] == "done"
            shape = (16, 24, 3)
            pixels = np.frombuffer(file.read(16 * 24 * 3), np.uint8).reshape(shape)
            file.seek(small["result"])
            result = np.frombuffer(file.read(), np.uint8).reshape(shape)
    blocks = image.reshape(16, 4, 24, 4, 3).astype(float).mean((1, 3))
    np.testing.assert_array_equal(pixels, np.rint(blocks))
    whole = drht_plugin.correct(image).reshape(16, 4, 24, 4, 3).astype(float).mean((1, 3))
    assert np.abs(result - whole).mean() < 4
    assert np.abs(result - pixels.astype(float)).mean() > 20


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"type": "repair"}, "type is 'repair'; expected one of hello"),
        ({"type": "survey", "picture": 0}, "survey has the fields ['picture']; expected picture"),
        ({"type": "survey", "picture": 7, "transfer": "srgb", "wrap": False}, "picture is 7"),
        ({"type": "survey", "picture": 0, "transfer": "gamma", "wrap": False}, "transfer is"),
        ({"type": "shrink", "picture": 0, "side": 0}, "side is 0"),
        ({"type": "allocate", "height": 9000, "width": 9000, "channels": 3, "dtype": "uint8"},
         "need 486000000 bytes; at most 100000 are accepted"),
        ({"type": "allocate", "height": 1, "width": 0, "channels": 3, "dtype": "uint8"},
         "width is 0; expected a whole number, 1 to"),
        ({"type": "allocate", "height": 1, "width": 1, "channels": 3, "dtype": "float64"},
         "dtype is 'float64'; expected one of uint8"),
    ],
)  # fmt: skip
def test_bad_requests_are_answered(request_: Message, words: str, limited: Client) -> None:
    """A request outside the contract gets an error that says so, and the next one is served."""
    reply = limited.ask(**request_)
    assert (reply["type"], reply["code"]) == ("error", "request")
    assert words in reply["message"]
    assert limited.ask(type="hello", protocol=1)["type"] == "done"


@pytest.fixture(scope="module")
def limited() -> Iterator[Client]:
    """A worker that may take little, and has one picture."""
    with client("-m", "drht_plugin.cli", "worker", "--max-bytes", "100000") as worker:
        worker.allocate(np.zeros((4, 4, 3), np.uint8))
        yield worker


def test_render_needs_a_survey(limited: Client) -> None:
    """Render before any survey, and of other channels than were surveyed, is refused."""
    assert "expected a survey before" in limited.render()["message"]
    gray = limited.allocate(np.zeros((4, 4, 1), np.uint8))
    limited.ask(type="survey", picture=0, transfer="srgb", wrap=False)
    assert limited.render(0)["type"] == "done"
    assert "has 1 colours; the surveyed one 3" in limited.render(gray["picture"])["message"]


def test_bad_pixels_are_named() -> None:
    """NaN in a picture is an error that names its place; the worker goes on."""
    image = np.zeros((3, 5, 3), np.float32)
    image[1, 2, 0] = np.nan
    with client() as worker:
        place = worker.allocate(image)
        with open(place["path"], "r+b") as file:
            file.write(image.tobytes())
        reply = worker.ask(type="survey", picture=0, transfer="srgb", wrap=False)
        assert (reply["code"], "holds nan at row 1, column 2" in reply["message"]) == (
            "request",
            True,
        )
        assert worker.ask(type="status")["type"] == "done"


_BUSY = """
import sys, time
from drht_plugin.cli import main
from drht_plugin.engine.corrector import Corrector
def survey(self, image, **settings):
    settings["progress"](0.5)
    time.sleep(3600)
Corrector.survey = survey
sys.exit(main(["worker"]))
"""


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"type": "hello", "protocol": 2}, "the client speaks protocol 2; this is drht_plugin"),
        ({"type": "hello", "protocol": True}, "the client speaks protocol True"),
        ({"type": "status"}, "the first request is 'status'; expected 'hello'"),
    ],
    ids=["later", "no number", "no hello"],
)
def test_strangers_are_turned_away(request_: Message, words: str) -> None:
    """A client of another protocol, or that does not greet, is told so; the worker exits with 2."""
    worker = Client()
    try:
        reply = worker.ask(**request_)
        assert (reply["type"], reply["code"]) == ("error", "protocol")
        assert words in reply["message"]
        assert worker.process.wait(60) == 2
    finally:
        worker.process.kill()
        worker.process.communicate()


@pytest.mark.parametrize("end", ["stdin", "SIGTERM", "SIGKILL"])
def test_the_worker_ends_at_once(end: str) -> None:
    """In mid job, the end of stdin or a signal ends the process, and its file has no name left.

    Without a request after allocate, the name is removed too, unless the worker is killed outright.
    """
    with client("-c", _BUSY) as worker:
        place = Path(worker.allocate(np.zeros((9, 9, 3), np.uint8))["path"])
        assert place.exists()
        if end != "stdin":
            worker.send(type="survey", picture=0, transfer="srgb", wrap=False)
            until(lambda: not place.exists())
        if end == "stdin":
            hang_up(worker)
        else:
            worker.process.send_signal(getattr(signal, end))
        code = worker.process.wait(60)
        assert code == {"stdin": 0, "SIGTERM": 143, "SIGKILL": -9}[end]
        assert not place.exists()


def test_stdin_ends_in_mid_job() -> None:
    """A worker that is busy ends when its client is gone, without any request."""
    with client("-c", _BUSY) as worker:
        assert worker.process.stdout is not None
        worker.allocate(np.zeros((9, 9, 3), np.uint8))
        worker.send(type="survey", picture=0, transfer="srgb", wrap=False)
        reply = frames.read(worker.process.stdout.read)
        assert reply is not None
        assert (reply["type"], reply["share"]) == ("progress", 0.3)
        hang_up(worker)
        assert worker.process.wait(60) == 0


def test_stray_prints_do_not_break_the_protocol() -> None:
    """What code in the worker prints goes to stderr, not among the frames."""
    code = "\n".join([
        "import sys",
        "from drht_plugin.cli import main",
        "from drht_plugin.worker.session import Session",
        "real = Session._hello",
        "def hello(self, protocol):",
        "    print('stray text', flush=True)",
        "    return real(self, protocol)",
        "Session._hello = hello",
        "sys.exit(main(['worker']))",
    ])  # fmt: skip
    with client("-c", code) as worker:
        assert worker.ask(type="status")["type"] == "done"
        hang_up(worker)
        _, said = worker.process.communicate(timeout=60)
        assert b"stray text" in said


def test_flood_is_refused() -> None:
    """A client that sends without waiting for replies is told so, and holds no memory."""
    with client("-c", _BUSY) as worker:
        assert worker.process.stdout is not None
        worker.allocate(np.zeros((9, 9, 3), np.uint8))
        with suppress(BrokenPipeError):
            for _ in range(200):
                worker.send(type="survey", picture=0, transfer="srgb", wrap=False)
        hang_up(worker, BrokenPipeError)
        output, _ = worker.process.communicate(timeout=60)
        assert b"more than 64 requests wait" in output
        assert worker.process.returncode == 2


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_a_terminal_is_refused() -> None:
    """A user who types the command is told what it is for, with exit code 2."""
    _, terminal = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "drht_plugin.cli", "worker"],
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "docs/worker-protocol.md" in done.stderr
