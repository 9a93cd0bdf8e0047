"""The dialog's window in GIMP: its size, its help, and what it says."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import pyvips
from gimp_harness import Gimp, wait_until
from gimp_screen import CHECKOUT, DIALOG, PICTURE, SECONDS, Screen, open_by_menu

_PARTS = CHECKOUT / "gimp" / "drht" / "drht_parts"
_BROKEN = "import sys; sys.exit(('a long line of the worker ' * 30 + chr(10)) * 20)"


@contextmanager
def opened(gimp: Gimp, size: str, **environment: str) -> Iterator[Screen]:
    """GIMP on a screen, with a picture and the dialog open."""
    picture = gimp.folder / "bridge.png"
    pyvips.Image.new_from_file(str(PICTURE)).write_to_file(str(picture))
    screen = Screen(gimp, size, **environment)
    try:
        screen.open(picture)
        open_by_menu(screen)
        yield screen
    finally:
        screen.close()


def own_words(log: Path) -> list[str]:
    """Lines on stderr that are of the plug-in's process, or of Python."""
    lines = log.read_text(errors="replace").splitlines()
    ours = [line for line in lines if "drht" in line or "Traceback" in line or "mnemonic" in line]
    return [line for line in ours if "dbind-WARNING" not in line and "AT-SPI" not in line]


@pytest.mark.parametrize(
    ("size", "scale"), [("1366x768", "1"), ("1366x768", "2"), ("1920x1080", "1")]
)
def test_it_fits_and_takes_any_size(gimp: Gimp, size: str, scale: str) -> None:
    """The window is inside the screen, also with an error, and can be made smaller and larger."""
    gimp.install(["python3", "-c", _BROKEN], direct=True)
    width, height = map(int, size.split("x"))
    with opened(gimp, size, GDK_SCALE=scale) as screen:
        screen.shot(f"fits-{size}-{scale}")
        time.sleep(2)  # until the worker has failed
        left, top, wide, high = screen.geometry(DIALOG)
        assert left >= 0
        assert top >= 0
        assert left + wide <= width
        assert top + high <= height

        least = 640 * int(scale), 340 * int(scale)
        screen.resize(DIALOG, *least)
        wait_until(lambda: screen.geometry(DIALOG)[2:] == least, 10)
        screen.shot(f"small-{size}-{scale}", screen.window(DIALOG))
        screen.resize(DIALOG, width - 20, height - 60)
        wait_until(lambda: screen.geometry(DIALOG)[2:] == (width - 20, height - 60), 10)
        screen.leave("Escape")
        assert own_words(screen.log) == []


def test_a_failed_worker_can_be_tried_again(gimp: Gimp) -> None:
    """After an error, Try again starts the worker anew, and the preview appears."""
    gimp.install()
    setup = gimp.profile / "plug-ins/drht/worker.json"
    facts = json.loads(setup.read_text())
    interpreter = facts["command"][: facts["command"].index("-I") + 1]
    setup.write_text(json.dumps({**facts, "command": [*interpreter, "-c", _BROKEN]}))
    with opened(gimp, "1366x768") as screen:
        time.sleep(3)
        before = screen.shot("try-again-error", screen.window(DIALOG))
        setup.write_text(json.dumps(facts))

        def changed() -> bool:
            now = screen.shot("try-again", screen.window(DIALOG))
            middle = now[now.shape[0] // 3 : now.shape[0] // 2, 50 : now.shape[1] // 2]
            return now.shape == before.shape and middle.std() > 15

        # The letter is that of Layers, too.
        screen.press(DIALOG, "alt+y", "space", until=changed, each=30)
        screen.leave("Escape")


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _PARTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("reports", [[], [0.5], [0.1, 0.2, 0.3, 0.9], [0.01, 0.02], [1.0]])
def test_progress_moves_without_news(reports: list[float]) -> None:
    """Between and before reports a share grows at every step, and is never below the report."""
    moving = _load("moving").moving
    ticks = itertools.count()

    def steps() -> Iterator[float]:
        for share in (0.0, *reports):
            for _ in range(60):  # three seconds without news
                yield share

    shown = list(moving(steps(), clock=lambda: next(ticks) * 0.05))
    assert all(before < after or before == 1 for before, after in itertools.pairwise(shown))
    assert all(0 <= share <= 1 for share in shown)
    for number, report in enumerate(reports, start=1):
        assert shown[60 * number] >= report


def test_the_preview_follows_what_is_corrected(gimp: Gimp) -> None:
    """With Layers: Visible the preview shows all layers together, and OK corrects them."""
    gimp.install()
    with opened(gimp, "1366x768") as screen:
        screen.leave("Escape")
        # An empty layer above.
        screen.press(screen.image, "ctrl+shift+n", until=lambda: screen.is_open("New Layer"))
        screen.press("New Layer", "Return", until=lambda: "2 layers" in screen.title())
        open_by_menu(screen)

        def blue() -> float:
            now = screen.shot("visible", screen.window(DIALOG)).astype(float)
            return float((now[200:400, 250:600, 2] - now[200:400, 250:600, 0]).mean())

        time.sleep(4)
        assert abs(blue()) < 1
        # The last of two; as what is visible.
        screen.press(DIALOG, "alt+y", "space", "Down", "Return", until=lambda: blue() > 20)
        screen.leave("alt+o")
        wait_until(lambda: "3 layers" in screen.title(), SECONDS)
        assert own_words(screen.log) == []


def test_mouse_and_keys_move_what_is_seen(gimp: Gimp) -> None:
    """Dragging moves the picture and the border; wheel and double click zoom; arrows move."""
    gimp.install()
    with opened(gimp, "1366x768") as screen:
        wide, high = screen.geometry(DIALOG)[2:]
        middle = wide * 3 // 8, high * 3 // 8

        def seen(name: str) -> npt.NDArray[np.int64]:
            time.sleep(2)  # until the worker has made it
            return screen.shot(name, screen.window(DIALOG))[50:450, 60:760].astype(np.int64)

        def drag(start: tuple[int, int], right: int, down: int) -> None:
            window = screen.window(DIALOG)
            screen.pointer("mousemove", "--window", window, *map(str, start), "mousedown", "1")
            for share in (0.3, 0.6, 1.0):
                place = round(start[0] + share * right), round(start[1] + share * down)
                screen.pointer("mousemove", "--window", window, *map(str, place))
            screen.pointer("mouseup", "1")

        def at(place: tuple[int, int], *words: str) -> None:
            window = screen.window(DIALOG)
            screen.pointer("mousemove", "--window", window, *map(str, place), *words)

        wait_until(lambda: seen("mouse").mean() > 90, SECONDS)
        whole = seen("mouse-whole")
        at(middle, "click", "--repeat", "2", "--delay", "60", "1")
        full = seen("mouse-full-size")
        assert np.abs(full - whole).mean() > 5
        drag(middle, -80, 40)
        moved = seen("mouse-moved")
        np.testing.assert_array_equal(moved[40:, :-80], full[:-40, 80:])
        screen.press(DIALOG, "Left", until=lambda: bool((seen("mouse-arrow") != moved).any()))
        left = seen("mouse-arrow")
        np.testing.assert_array_equal(left[:, 60:], moved[:, :-60])
        at(middle, "click", "4")  # the wheel
        assert np.abs(seen("mouse-wheel") - left).mean() > 1
        screen.press(DIALOG, "alt+f", until=lambda: bool((seen("mouse-fit") == whole).all()))
        screen.press(DIALOG, "alt+b", until=lambda: bool((seen("mouse-split") != whole).any()))
        split = seen("mouse-split")
        [border] = np.flatnonzero((split == 255).all(2).mean(0) > 0.9)[:1]
        drag((60 + int(border) + 1, middle[1] + 60), 150, 0)
        dragged = seen("mouse-dragged")
        [now] = np.flatnonzero((dragged == 255).all(2).mean(0) > 0.9)[:1]
        assert abs(now - border - 150) <= 2
        assert dragged[:, border + 5 : now - 5].mean() < split[:, border + 5 : now - 5].mean() - 20
        screen.leave("Escape")
