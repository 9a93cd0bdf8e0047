"""A signal ends the command whatever it waits for, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")

ENDS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}

ELSEWHERE = """
import signal, sys, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
import shutil
from drht_plugin.cli import main
copy = shutil.copyfileobj
def copy_deaf(*files):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    print("waits", file=sys.stderr, flush=True)
    copy(*files)
shutil.copyfileobj = copy_deaf
sys.exit(main())
"""
"""The command, to whose main thread the system gives no signal: another thread's does not end a
read there, as one does not that comes just before the read."""

PLAIN = "import sys; from drht_plugin.cli import main; sys.exit(main())"


@contextmanager
def command(*words: object, start: str = ELSEWHERE, **streams: Any) -> Iterator[Any]:
    """The command as a process that does not outlive the test."""
    process = subprocess.Popen([sys.executable, "-c", start, *map(str, words)], **streams)
    try:
        yield process
    finally:
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait()


@pytest.fixture
def quiet(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary folder is the test's own."""
    (tmp_path / "temporary").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "temporary")}


@pytest.mark.parametrize("end", ENDS)
def test_a_signal_that_interrupts_no_call(end: str, tmp_path: Path, quiet: dict[str, str]) -> None:
    """A read of stdin that goes on for ever ends with the signal; no file is left."""
    pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with command("correct", "-", "-o", tmp_path / "out.png", env=quiet, **pipe) as process:
        assert process.stderr.readline() == b"waits\n"
        process.send_signal(getattr(signal, end))
        assert process.wait(20) == ENDS[end]
        assert process.stderr.read() == b"drht: interrupted\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


@pytest.fixture
def full() -> Iterator[int]:
    """The writing end of a pipe that is full, and that nobody reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(1 << 16))
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"0")
    os.set_blocking(writing, True)
    yield writing
    os.close(reading)
    os.close(writing)


def test_nobody_reads_the_picture(tmp_path: Path, quiet: dict[str, str]) -> None:
    """A picture on stdout that is not read to its end does not keep the process."""
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "in.png")
    words = ["correct", tmp_path / "in.png", "-o", "-", "--strength", "0"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with command(*words, start=PLAIN, env=quiet, **pipes) as process:
        assert os.read(process.stdout.fileno(), 8) == b"\x89PNG\r\n\x1a\n"
        time.sleep(0.5)  # the pipe is full long before
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in.png", "temporary"]


def test_nobody_reads_the_last_words(full: int, tmp_path: Path, quiet: dict[str, str]) -> None:
    """Words on stderr that find no room do not keep the process either."""
    words = ["correct", "-", "-o", tmp_path / "out.png"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stderr": full}
    with command(*words, start=PLAIN, env=quiet, **pipes) as process:
        end = time.monotonic() + 60
        while not any(path.is_file() for path in (tmp_path / "temporary").rglob("-")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
