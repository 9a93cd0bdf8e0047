"""The plug-in in GIMP's window, on a screen of its own, by keys and mouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from gimp_harness import Gimp, wait_until, worker_files
from gimp_screen import DIALOG, PICTURE, SECONDS, Screen, open_by_menu

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
sys.exit(main(["worker", *sys.argv[1:]]))
"""


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
    pixels = screen.shot(name, screen.window(DIALOG)).astype(float)
    height, width = pixels.shape[:2]
    return pixels[height // 5 : height // 2, width // 16 : width // 2]


def set_strength(screen: Screen, value: str, until: Callable[[], bool]) -> None:
    """Type a strength into the dialog, in per cent, and wait for what it does."""
    screen.press(DIALOG, "alt+e", "ctrl+a", *value, "Tab", until=until)


def test_menu_dialog_apply_undo_cancel(gimp: Gimp, screen: Screen) -> None:
    """A user's way: menu, preview that follows, setup, OK, undo, repeat, and Cancel in mid job."""
    assert screen.title().startswith("[bridge]")
    open_by_menu(screen)
    wait_until(lambda: preview(screen, "dialog").mean() > 110, SECONDS)
    corrected = preview(screen, "dialog")
    assert corrected.std() > 25

    def as_before(name: str) -> bool:
        return bool(abs(preview(screen, name).mean() - corrected.mean()) < 2)

    set_strength(screen, "0", lambda: preview(screen, "strength-0").mean() < 80)
    assert preview(screen, "strength-0").std() > 15
    set_strength(screen, "100", lambda: as_before("strength-1"))

    # A preset moves the sliders, and a slider that is moved ends the preset.
    strong = "alt+t", "space", "Home", "Down", "Down", "Return"
    brighter = corrected.mean() + 5
    screen.press(DIALOG, *strong, until=lambda: preview(screen, "strong").mean() > brighter)
    set_strength(screen, "100", lambda: as_before("no-preset"))
    screen.shot("dialog-whole", screen.window(DIALOG))

    setup_of = "Setup of DRHT"
    screen.press(DIALOG, "alt+u", until=lambda: screen.is_open(setup_of))
    screen.shot("setup")
    screen.press(setup_of, "Escape", until=lambda: not screen.is_open(setup_of))

    screen.leave("alt+o")
    wait_until(lambda: "2 layers" in screen.title(), SECONDS)
    assert screen.title().startswith("*")
    screen.shot("applied")
    screen.press(screen.image, "ctrl+z", until=lambda: "1 layer)" in screen.title())
    assert screen.title().startswith("[bridge]")  # one step took all of it back
    screen.shot("undone")

    # With the last values, without a dialog.
    screen.press(screen.image, "ctrl+f", until=lambda: "2 layers" in screen.title(), each=40)
    screen.press(screen.image, "ctrl+z", until=lambda: screen.title().startswith("[bridge]"))

    files, busy = worker_files(), gimp.folder / "busy"
    program = gimp.folder / "hanging.py"
    program.write_text(_HANGING.format(busy=str(busy)))
    setup = gimp.profile / "plug-ins/drht/worker.json"
    facts = json.loads(setup.read_text())
    interpreter = facts["command"][: facts["command"].index("-I") + 1]
    setup.write_text(json.dumps({**facts, "command": [*interpreter, str(program)]}))
    screen.press(screen.image, "ctrl+f", until=busy.exists, each=40)
    screen.shot("working")
    screen.click_from_corner(50, 20)  # Cancel, at the right of the status bar
    wait_until(lambda: not gimp.running("hanging.py"))
    wait_until(lambda: not gimp.running("plug-ins/drht/drht.py"))
    screen.shot("cancelled")
    assert screen.title().startswith("[bridge]")
    assert "1 layer)" in screen.title()
    wait_until(lambda: worker_files() <= files)
    setup.write_text(json.dumps(facts))
    # GIMP goes on.
    screen.press(screen.image, "ctrl+f", until=lambda: "2 layers" in screen.title(), each=40)
