"""A screen with GIMP's window on it, used by keys and mouse.

Screenshots are kept in .cache/gimp-shots, to be looked at.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from gimp_harness import Gimp, wait_until

CHECKOUT = Path(__file__).parents[2]
PICTURE = CHECKOUT / "examples" / "pictures" / "golden_gate_dark.jpg"
SHOTS = CHECKOUT / ".cache" / "gimp-shots"

DIALOG = "Recover Exposure"
ANY_DIALOG = r"\(DRHT\)"  # in all languages
SHORTCUT = '(action "plug-in-drht-recover-exposure" "<Primary><Alt>h")\n'  # of shortcutsrc
SECONDS = 120


class Screen:
    """A screen with GIMP's window on it.

    Args:
        gimp: the GIMP.
        size: of the screen, width×height in pixels.
        environment: for GIMP, such as GDK_SCALE.
    """

    def __init__(self, gimp: Gimp, size: str = "1280x900", **environment: str) -> None:
        self._gimp, self._environment = gimp, environment
        server: list[str | Path] = [
            "Xvfb",
            "-displayfd",
            "1",
            "-screen",
            "0",
            f"{size}x24",
            "-nolisten",
            "tcp",
            # Otherwise the server starts anew when its last client leaves. One that looks for
            # windows may leave before the window manager has come, which then has no server.
            "-noreset",
        ]
        self._log = open(self.log, "wb")  # noqa: SIM115
        process = self._start(server, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as answer:
            self.display = f":{answer.readline().decode().strip()}"
        self._start(["openbox"])
        # A window that appears before its manager may never have the keys.
        wait_until(lambda: bool(self._run("xdotool", "get_num_desktops").strip()), SECONDS)

    @property
    def log(self) -> Path:
        """What GIMP, its plug-ins and the screen say on stderr."""
        return self._gimp.folder / "screen.log"

    def open(self, picture: Path) -> None:
        """Start GIMP on a picture, and wait for its window."""
        self.image = f"{picture.stem}.*GIMP"
        program = f"gimp-{self._gimp.version}"
        self._start(["dbus-run-session", "--", program, "--new-instance", "--no-splash", picture])
        self.window(self.image)

    def window(self, name: str) -> str:
        """The number of a window that is to appear."""
        found: list[str] = []

        def look() -> bool:
            found[:] = self.windows(name)[:1]
            return bool(found)

        wait_until(look, SECONDS)
        return found[0]

    def is_open(self, name: str) -> bool:
        """Whether a window is there."""
        return bool(self.windows(name))

    def title(self) -> str:
        """The title of GIMP's window; a star before it says that the image is dirty."""
        return self._run("xdotool", "getwindowname", self.window(self.image)).strip()

    def keys(self, *names: str) -> None:
        """Press keys, one after the other."""
        self._run("xdotool", "key", "--delay", "300", *names)

    def focus(self, name: str) -> None:
        """Let a window have the keys: it may be seen before it has them."""

        def has_keys() -> bool:
            window = self.window(name)
            if self._run("xdotool", "getactivewindow").strip() == window:
                return True
            self._run("xdotool", "windowactivate", window)
            return False

        try:
            wait_until(has_keys, SECONDS)
        except AssertionError:
            self.shot("no-keys")
            active = self._run("xdotool", "getactivewindow", "getwindowname")
            pytest.fail(f"{self.windows(name)} do not get the keys; {active!r} has them")

    def press(
        self,
        name: str,
        *keys: str,
        until: Callable[[], bool],
        each: float = 15,
        seconds: float = SECONDS,
    ) -> None:
        """Press keys in a window until they have done their work.

        A busy machine loses keys at times, as the window that they were for did not have them yet;
        a user presses once more.

        Args:
            name: the window's.
            keys: whose work is not done twice by pressing them twice.
            until: whether it is done.
            each: seconds that the work may take.
            seconds: after which it has failed.
        """
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"{keys} in {name!r} do not do what is waited for"
            if self.is_open(name):
                self.focus(name)
                self.keys(*keys)
            with suppress(AssertionError):
                wait_until(until, each)

    def leave(self, key: str) -> None:
        """Close the dialog by a key."""
        self.press(DIALOG, key, until=lambda: not self.is_open(DIALOG))

    def click_from_corner(self, left: int, up: int) -> None:
        """Click in GIMP's window, at a place counted from its lower right corner."""
        window = self.window(self.image)
        answer = self._run("xdotool", "getwindowgeometry", "--shell", window)
        facts = dict(line.split("=") for line in answer.split())
        place = str(int(facts["WIDTH"]) - left), str(int(facts["HEIGHT"]) - up)
        self._run("xdotool", "mousemove", "--window", window, *place, "click", "1")

    def geometry(self, name: str) -> tuple[int, int, int, int]:
        """Left, top, width and height of a window, in pixels of the screen."""
        answer = self._run("xdotool", "getwindowgeometry", "--shell", self.window(name))
        facts = dict(line.split("=") for line in answer.split())
        return int(facts["X"]), int(facts["Y"]), int(facts["WIDTH"]), int(facts["HEIGHT"])

    def resize(self, name: str, width: int, height: int) -> None:
        """Ask for another size of a window, in pixels of the screen."""
        self._run("xdotool", "windowsize", self.window(name), str(width), str(height))

    def pointer(self, *words: str) -> None:
        """Move and press the mouse, in words of xdotool."""
        self._run("xdotool", *words)

    def shot(self, name: str, window: str = "root") -> npt.NDArray[np.uint8]:
        """What is to be seen, H×W×3; kept as a file."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        path = self._gimp.folder / "shot.png"
        self._run("import-im7.q16", "-window", window, str(path))
        kept = SHOTS / f"{self._gimp.version}-{name}.png"
        data = path.read_bytes()
        kept.write_bytes(data)
        pixels: npt.NDArray[np.uint8] = (
            pyvips.Image.new_from_buffer(data, "").colourspace("srgb").numpy()[..., :3]
        )
        return pixels

    def close(self) -> None:
        """Let go of the log; the processes are the harness's to end."""
        self._log.close()

    def windows(self, name: str) -> list[str]:
        """The numbers of the windows of a name."""
        return self._run("xdotool", "search", "--onlyvisible", "--name", name).split()

    def _run(self, *words: str) -> str:
        command = self._gimp.command(words, DISPLAY=self.display)
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def _start(self, words: list[str | Path], stdout: int | None = None) -> subprocess.Popen[bytes]:
        display = {"DISPLAY": self.display} if words[0] != "Xvfb" else {}
        display |= self._environment if words[0] == "dbus-run-session" else {}
        process = subprocess.Popen(
            self._gimp.command(words, **display),
            stdout=self._log if stdout is None else stdout,
            stderr=self._log,
        )
        self._gimp.processes.append(process)
        return process


def open_by_menu(screen: Screen) -> None:
    """Choose Filters, Enhance, Recover Exposure."""
    for _ in range(3):
        screen.focus(screen.image)
        screen.keys("alt+r", "h")
        screen.shot("menu")
        screen.keys("x")
        try:
            wait_until(lambda: screen.is_open(DIALOG), 30)
        except AssertionError:
            screen.keys("Escape", "Escape", "Escape")
        else:
            return
    pytest.fail("the menu has no entry that opens the dialog")
