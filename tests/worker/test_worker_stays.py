"""`drht worker --stay` as a process: clients come and go, and nothing of them is left."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import picture

import drht_plugin
from drht_plugin.worker import frames
from drht_plugin.worker.frames import Message

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")

SURVEY: Message = {"type": "survey", "picture": 0, "transfer": "srgb", "wrap": False}
_MAIN = "import sys; from drht_plugin.cli import main; sys.exit(main(sys.argv[1:]))"

# Workers whose survey goes on for ever, with and without looking whether anybody waits for it.
_BUSY = """
import sys, time
from drht_plugin.engine.corrector import Corrector
def survey(self, image, **settings):
    try:
        while True:
            time.sleep(0.05)
            settings["progress"](0.0001)
    finally:
        print("stopped", file=sys.stderr, flush=True)
Corrector.survey = survey
"""
_STUCK = _BUSY.replace('settings["progress"](0.0001)', "pass")
_IMPATIENT = "from drht_plugin.worker import stay\nstay._STOP_SECONDS = 1.0\n"


class Guest:
    """A client of a worker that stays."""

    def __init__(self, path: Path) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(120)
        try:
            self.connection.connect(str(path))
        except OSError:
            self.connection.close()
            raise
        self._number = 0

    def send(self, **request: Any) -> None:
        """Send a request."""
        self._number += 1
        self.connection.sendall(frames.encode({"id": self._number, **request}))

    def answer(self) -> Message | None:
        """The last reply to the request; None if the connection has ended."""
        while True:
            try:
                reply = frames.read(self.connection.recv)
            except ConnectionError:
                return None
            if reply is None or reply["type"] != "progress":
                return reply

    def ask(self, **request: Any) -> Message:
        """Send a request; its last reply."""
        self.send(**request)
        reply = self.answer()
        assert reply is not None
        return reply

    def greet(self) -> Guest:
        """Say hello."""
        assert self.ask(type="hello", protocol=1)["type"] == "done"
        return self

    def allocate(self, image: Any) -> Message:
        """Have a file for a picture."""
        rows, columns, channels = image.shape
        size = {"height": rows, "width": columns, "channels": channels}
        return self.ask(type="allocate", dtype=image.dtype.name, **size)

    def correct(self, image: Any) -> Any:
        """Have a picture corrected."""
        place = self.allocate(image)
        with open(place["path"], "r+b") as file:
            file.write(image.tobytes())
            file.flush()
            assert self.ask(**SURVEY)["type"] == "done"
            shares = {"strength": 1.0, "shadows": 1.0, "highlights": 1.0}
            assert self.ask(type="render", picture=0, detail="auto", **shares)["type"] == "done"
            file.seek(place["result"])
            return np.frombuffer(file.read(image.nbytes), image.dtype).reshape(image.shape)


class House:
    """A worker that stays, and the socket that leads to it."""

    def __init__(self, *options: str, before: str = "", idle: str = "600") -> None:
        self.guests: list[Guest] = []
        # The longest path of a socket is short: pytest's folders may be too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="drht-test-"))
        self.path, self.log = self.folder / "a.sock", self.folder / "a.log"
        with socket.socket(socket.AF_UNIX) as listener, open(self.log, "wb") as log:
            listener.bind(str(self.path))
            listener.listen()
            command = [sys.executable, "-c", f"{before}\n{_MAIN}", "worker", "--stay", idle]
            self.process = subprocess.Popen(
                [*command, *options], stdin=listener.fileno(), stdout=log, stderr=log, cwd="/"
            )

    def guest(self, *, greets: bool = True) -> Guest:
        """A client, which has greeted if it is to."""
        self.guests.append(Guest(self.path))
        return self.guests[-1].greet() if greets else self.guests[-1]

    def descriptors(self) -> int:
        """How many files the worker has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def close(self) -> None:
        """End it if it is there."""
        for guest in self.guests:
            guest.connection.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


@pytest.fixture
def house(request: pytest.FixtureRequest) -> Iterator[Callable[..., House]]:
    """Make workers that stay."""
    made: list[House] = []

    def make(*options: str, **settings: str) -> House:
        made.append(House(*options, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def worker_is_busy(guest: Guest) -> None:
    """Have the worker begin a survey."""
    place = guest.allocate(np.zeros((9, 9, 3), np.uint8))
    guest.send(**SURVEY)
    until(lambda: not Path(place["path"]).exists())


def test_clients_come_and_go(house: Callable[..., House]) -> None:
    """One after the other gets its picture, as correct() gives it; files and names are freed."""
    worker = house()
    counts = []
    for seed in range(4):
        image = picture(50, 70, 3, "uint8", seed, (0.0, 0.4))
        guest = worker.guest()
        np.testing.assert_array_equal(guest.correct(image), drht_plugin.correct(image))
        place = Path(guest.allocate(image)["path"])  # nothing confirms that it was opened
        guest.connection.close()
        until(lambda place=place: not place.exists())  # type: ignore[misc]
        counts.append(0)
        if sys.platform == "linux":
            until(lambda: not _shared_files(worker.process.pid))
            counts[-1] = worker.descriptors()
    assert worker.process.poll() is None
    assert max(counts[1:]) <= counts[0]


def _shared_files(process: int) -> list[str]:
    """The files of pictures that a process has open, with a name or without."""
    found = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            found.append(os.readlink(link))
        except FileNotFoundError:
            continue
    return [each for each in found if "/drht-" in each and "drht-test-" not in each]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_is_given_back(house: Callable[..., House]) -> None:
    """A worker is not larger after many clients than after two."""
    worker = house()
    sizes = []
    for seed in range(9):
        guest = worker.guest()
        guest.correct(picture(700, 1000, 3, "uint8", seed, (0.0, 0.4)))
        guest.connection.close()
        time.sleep(1.5)  # the worker looks after clients twice a second
        status = Path(f"/proc/{worker.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("RssAnon")]
        sizes.append(int(line.split()[1]) << 10)
    assert max(sizes[2:]) < sizes[1] + (16 << 20)


def test_two_at_once(house: Callable[..., House]) -> None:
    """While one client's job goes on, another is served, with pictures of its own."""
    worker = house(
        before=_BUSY.replace(
            "    try:",
            "    if image.shape[0] != 9:\n        return real(self, image, **settings)\n    try:",
        ).replace("def survey", "real = Corrector.survey\ndef survey")
    )
    first, second = worker.guest(), worker.guest()
    first.allocate(np.zeros((9, 9, 3), np.uint8))
    first.send(**SURVEY)
    image = picture(50, 70, 3, "uint8", 0, (0.0, 0.4))
    np.testing.assert_array_equal(second.correct(image), drht_plugin.correct(image))
    assert "picture is 1" in second.ask(**{**SURVEY, "picture": 1})["message"]


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_a_client_that_goes_stops_its_job(how: str, house: Callable[..., House]) -> None:
    """Its job ends soon, its picture is freed, and the worker serves the next client."""
    worker = house(before=_BUSY)
    if how == "closed":
        guest = worker.guest()
        worker_is_busy(guest)
        guest.connection.close()
    else:
        code = (
            "import sys, time\n"
            f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}\n"
            "from test_worker_stays import Guest, worker_is_busy\nfrom pathlib import Path\n"
            f"worker_is_busy(Guest(Path({str(worker.path)!r})).greet())\n"
            "print('sent', flush=True)\ntime.sleep(600)"
        )
        client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert client.stdout is not None
        assert client.stdout.readline() == b"sent\n"
        client.kill()
        client.communicate()
    until(lambda: not _shared_files(worker.process.pid))
    following = worker.guest()
    assert following.ask(type="status")["type"] == "done"
    assert worker.log.read_text() == "stopped\n"
    assert worker.process.poll() is None


def test_a_job_that_does_not_stop_ends_the_worker(house: Callable[..., House]) -> None:
    """If the job of a client that has gone goes on, the worker ends; nothing of it is left."""
    worker = house(before=_STUCK + _IMPATIENT)
    guest = worker.guest()
    worker_is_busy(guest)
    guest.connection.close()
    assert worker.process.wait(30) == 0
    assert not worker.path.exists()
    assert not worker.log.exists()


def test_it_ends_without_clients(house: Callable[..., House]) -> None:
    """After the idle time without a client it ends, and not while there is one."""
    worker = house(idle="1.5")
    guest = worker.guest()
    time.sleep(4)
    assert guest.ask(type="status")["type"] == "done"
    guest.connection.close()
    assert worker.process.wait(30) == 0
    assert not worker.path.exists()


@pytest.mark.parametrize("working", [False, True])
def test_it_ends_with_its_parent(working: bool, house: Callable[..., House]) -> None:
    """When the process that it belongs to is killed, it ends, in mid job too."""
    parent = subprocess.Popen(["sleep", "600"])
    worker = house("--parent", str(parent.pid), before=_STUCK)
    guest = worker.guest()
    place = guest.allocate(np.zeros((9, 9, 3), np.uint8))
    if working:
        guest.send(**SURVEY)
    time.sleep(1)
    assert worker.process.poll() is None
    parent.kill()  # nobody has waited for it yet: it is a zombie
    assert worker.process.wait(30) == 0
    parent.wait()
    assert not Path(place["path"]).exists()
    assert not worker.path.exists()


def test_it_ends_when_another_version_is_installed(
    tmp_path: Path, house: Callable[..., House]
) -> None:
    """It serves whom it serves, refuses others, and ends; its own modules may be gone by then."""
    installed = tmp_path / "_version.py"
    installed.write_text("")
    worker = house(
        before=f"from drht_plugin import _version\n_version.__file__ = {str(installed)!r}"
    )
    guest = worker.guest()
    replacement = tmp_path / "new"
    replacement.write_text("__version__ = 'newer'")
    replacement.replace(installed)
    until(lambda: not worker.path.exists())
    with pytest.raises(OSError, match=r"No such file|refused"):
        worker.guest()
    assert guest.ask(type="status")["type"] == "done"
    guest.connection.close()
    assert worker.process.wait(30) == 0


def test_a_signal_ends_it(house: Callable[..., House]) -> None:
    """SIGTERM ends it in mid job; neither socket nor picture is left."""
    worker = house(before=_STUCK)
    guest = worker.guest()
    place = guest.allocate(np.zeros((9, 9, 3), np.uint8))
    guest.send(**SURVEY)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(30) == 143
    assert not Path(place["path"]).exists()
    assert not worker.path.exists()


@pytest.mark.parametrize("what", ["nonsense", "protocol", "flood"])
def test_a_client_that_breaks_the_protocol(what: str, house: Callable[..., House]) -> None:
    """It is told so and loses its connection; the other client and the worker go on."""
    worker = house(before=_BUSY)
    other = worker.guest()
    guest = worker.guest(greets=False)
    if what == "nonsense":
        guest.connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    elif what == "protocol":
        guest.send(type="hello", protocol=7)
    else:
        guest.greet().allocate(np.zeros((9, 9, 3), np.uint8))
        for _ in range(70):
            guest.send(**SURVEY)
    reply = guest.answer()
    assert reply is not None
    assert reply["code"] == ("protocol" if what == "protocol" else "frame")
    assert guest.answer() is None
    assert other.ask(type="status")["type"] == "done"
    assert worker.process.poll() is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can")
def test_other_users_are_turned_away(house: Callable[..., House]) -> None:
    """A process of another user that gets at the socket is not served."""
    worker = house()
    worker.guest().connection.close()
    worker.folder.chmod(0o777)
    worker.path.chmod(0o777)
    code = (
        "import os, socket\nos.setuid(65534)\nc = socket.socket(socket.AF_UNIX)\n"
        f"c.connect({str(worker.path)!r})\nc.settimeout(60)\n"
        "try:\n    print(c.recv(1))\nexcept ConnectionError:\n    print(b'')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=100
    )
    assert done.stdout == "b''\n", done.stderr
    assert worker.guest().ask(type="status")["type"] == "done"


@pytest.mark.parametrize("stdin", ["nothing", "socket", "pipe"])
def test_stdin_has_to_listen(stdin: str) -> None:
    """Without a listening Unix socket it says what it needs, with exit code 2."""
    one, other = socket.socketpair()
    with one, other:
        given: Any = {"nothing": {"stdin": subprocess.DEVNULL}, "socket": {"stdin": one}}
        done = subprocess.run(
            [sys.executable, "-m", "drht_plugin.cli", "worker", "--stay", "9"],
            **given.get(stdin, {"input": ""}),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert "no listening Unix socket" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--stay", "0"], "seconds above 0"), (["--parent", "1"], "expected --stay")],
)
def test_bad_options(options: list[str], words: str) -> None:
    """What makes no sense is exit code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "drht_plugin.cli", "worker", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert words in done.stderr
