"""The plug-in in GIMP's window, on a screen of its own, by keys and mouse.

Screenshots are kept in .cache/gimp-shots, to be looked at.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from gimp_harness import Gimp, wait_for, wait_until, worker_files

CHECKOUT = Path(__file__).parents[2]
PICTURE = CHECKOUT / "examples" / "pictures" / "golden_gate_dark.jpg"
SHOTS = CHECKOUT / ".cache" / "gimp-shots"

_TITLE, _DIALOG = "bridge.*GIMP", "Recover Exposure"
_SECONDS = 120

# A real worker that reports progress in its survey, and then hangs.
_HANGING = """
import sys, time
from drht_plugin.cli import main
from drht_plugin.engine.corrector import Corrector
def survey(self, image, **settings):
    settings["progress"](0.5)
    open({busy!r}, "w").close()
    time.sleep(3600)
Corrector.survey = survey
sys.exit(main(["worker"]))
"""


class Screen:
    """A screen with GIMP's window on it."""

    def __init__(self, gimp: Gimp) -> None:
        self._gimp = gimp
        server: list[str | Path] = [
            "Xvfb",
            "-displayfd",
            "1",
            "-screen",
            "0",
            "1280x900x24",
            "-nolisten",
            "tcp",
        ]
        self._log = open(gimp.folder / "screen.log", "wb")  # noqa: SIM115
        process = self._start(server, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as answer:
            self._display = f":{answer.readline().decode().strip()}"
        self._start(["openbox"])

    def open(self, picture: Path) -> None:
        """Start GIMP on a picture, and wait for its window."""
        program = f"gimp-{self._gimp.version}"
        self._start(["dbus-run-session", "--", program, "--new-instance", "--no-splash", picture])
        self.window(_TITLE)

    def window(self, name: str) -> str:
        """The number of a window that is to appear."""
        found: list[str] = []

        def look() -> bool:
            found[:] = self._windows(name)[:1]
            return bool(found)

        wait_until(look, _SECONDS)
        return found[0]

    def is_open(self, name: str) -> bool:
        """Whether a window is there."""
        return bool(self._windows(name))

    def title(self) -> str:
        """The title of GIMP's window; a star before it says that the image is dirty."""
        return self._run("xdotool", "getwindowname", self.window(_TITLE)).strip()

    def keys(self, *names: str) -> None:
        """Press keys, one after the other."""
        self._run("xdotool", "key", "--delay", "300", *names)

    def text(self, text: str) -> None:
        """Type a text."""
        self._run("xdotool", "type", "--delay", "100", text)

    def click_from_corner(self, left: int, up: int) -> None:
        """Click in GIMP's window, at a place counted from its lower right corner."""
        window = self.window(_TITLE)
        answer = self._run("xdotool", "getwindowgeometry", "--shell", window)
        facts = dict(line.split("=") for line in answer.split())
        place = str(int(facts["WIDTH"]) - left), str(int(facts["HEIGHT"]) - up)
        self._run("xdotool", "mousemove", "--window", window, *place, "click", "1")

    def shot(self, name: str, window: str = "root") -> npt.NDArray[np.uint8]:
        """What is to be seen, H×W×3; kept as a file."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = self._gimp.folder / "shot.png"
        self._run("import-im7.q16", "-window", window, str(path))
        kept = SHOTS / f"{self._gimp.version}-{name}.png"
        data = path.read_bytes()
        kept.write_bytes(data)
        pixels: npt.NDArray[np.uint8] = pyvips.Image.new_from_buffer(data, "").numpy()[..., :3]
        return pixels

    def close(self) -> None:
        """Let go of the log; the processes are the harness's to end."""
        self._log.close()

    def _windows(self, name: str) -> list[str]:
        return self._run("xdotool", "search", "--onlyvisible", "--name", name).split()

    def _run(self, *words: str) -> str:
        command = self._gimp.command(words, DISPLAY=self._display)
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def _start(self, words: list[str | Path], stdout: int | None = None) -> subprocess.Popen[bytes]:
        display = {"DISPLAY": self._display} if words[0] != "Xvfb" else {}
        process = subprocess.Popen(
            self._gimp.command(words, **display),
            stdout=self._log if stdout is None else stdout,
            stderr=self._log,
        )
        self._gimp.processes.append(process)
        return process


@pytest.fixture
def screen(gimp: Gimp) -> Iterator[Screen]:
    """GIMP's window with a dark picture in it, and the plug-in installed."""
    gimp.install()
    picture = gimp.folder / "bridge.png"
    pyvips.Image.new_from_file(str(PICTURE)).write_to_file(str(picture))
    made = Screen(gimp)
    try:
        made.open(picture)
        yield made
    finally:
        made.close()


def preview(screen: Screen, name: str) -> npt.NDArray[np.float64]:
    """The dialog's preview, by its place in the left half."""
    pixels = screen.shot(name, screen.window(_DIALOG)).astype(float)
    height, width = pixels.shape[:2]
    return pixels[height // 5 : height // 2, width // 16 : width // 2]


def open_by_menu(screen: Screen) -> None:
    """Choose Filters, Enhance, Recover Exposure."""
    for _ in range(3):
        screen.keys("alt+r", "h")
        screen.shot("menu")
        screen.keys("x")
        try:
            wait_until(lambda: screen.is_open(_DIALOG), 30)
        except AssertionError:
            screen.keys("Escape", "Escape", "Escape")
        else:
            return
    pytest.fail("the menu has no entry that opens the dialog")


def set_strength(screen: Screen, value: str) -> None:
    """Type a strength into the dialog."""
    screen.keys("alt+g", "ctrl+a")
    screen.text(value)
    screen.keys("Tab")


def test_menu_dialog_apply_undo_cancel(gimp: Gimp, screen: Screen) -> None:
    """A user's way: menu, preview that follows, setup, OK, undo, repeat, and Cancel in mid job."""
    assert screen.title().startswith("[bridge]")
    open_by_menu(screen)
    wait_until(lambda: preview(screen, "dialog").mean() > 110, _SECONDS)
    corrected = preview(screen, "dialog")
    assert corrected.std() > 25

    set_strength(screen, "0")
    wait_until(lambda: preview(screen, "strength-0").mean() < 80, _SECONDS)
    assert preview(screen, "strength-0").std() > 15
    set_strength(screen, "1")
    wait_until(lambda: abs(preview(screen, "strength-1").mean() - corrected.mean()) < 2, _SECONDS)

    # A preset moves the sliders, and a slider that is moved ends the preset.
    screen.keys("alt+t", "space", "Down", "Down", "Return")
    wait_until(lambda: preview(screen, "strong").mean() > corrected.mean() + 5, _SECONDS)
    set_strength(screen, "1")
    wait_until(lambda: abs(preview(screen, "no-preset").mean() - corrected.mean()) < 2, _SECONDS)
    assert screen.shot("dialog-whole", screen.window(_DIALOG)).shape[0] < 700

    screen.keys("alt+u")
    screen.window("Setup of DRHT")
    screen.shot("setup")
    screen.keys("Escape")
    wait_until(lambda: not screen.is_open("Setup of DRHT"))

    screen.keys("alt+o")
    wait_until(lambda: "2 layers" in screen.title(), _SECONDS)
    assert screen.title().startswith("*")
    screen.shot("applied")
    screen.keys("ctrl+z")
    wait_until(lambda: "1 layer)" in screen.title())
    assert screen.title().startswith("[bridge]")  # one step took all of it back
    screen.shot("undone")

    screen.keys("ctrl+f")  # with the last values, without a dialog
    wait_until(lambda: "2 layers" in screen.title(), _SECONDS)
    screen.keys("ctrl+z")
    wait_until(lambda: screen.title().startswith("[bridge]"))

    files, busy = worker_files(), gimp.folder / "busy"
    program = gimp.folder / "hanging.py"
    program.write_text(_HANGING.format(busy=str(busy)))
    setup = gimp.profile / "plug-ins/drht/worker.json"
    facts = json.loads(setup.read_text())
    interpreter = facts["command"][: facts["command"].index("-I") + 1]
    setup.write_text(json.dumps({**facts, "command": [*interpreter, str(program)]}))
    screen.keys("ctrl+f")
    wait_for(busy)
    screen.shot("working")
    screen.click_from_corner(50, 20)  # Cancel, at the right of the status bar
    wait_until(lambda: not gimp.running("hanging.py"))
    wait_until(lambda: not gimp.running("plug-ins/drht/drht.py"))
    screen.shot("cancelled")
    assert screen.title().startswith("[bridge]")
    assert "1 layer)" in screen.title()
    wait_until(lambda: worker_files() <= files)
    setup.write_text(json.dumps(facts))
    screen.keys("ctrl+f")  # GIMP goes on
    wait_until(lambda: "2 layers" in screen.title(), _SECONDS)
