"""Pictures of the plug-in's dialog in GIMP, to be looked at.

    python tests/gimp/screens.py                  # all into .cache/gimp-shots/dialog
    python tests/gimp/screens.py --only 1366-dark --language de
    python tests/gimp/screens.py --documents      # those of docs/pictures

Needs a root with GIMP in it, see root.py.
"""

from __future__ import annotations

import argparse
import gettext
import json
import tempfile
import time
from pathlib import Path

import pyvips
import root
from gimp_harness import Gimp, wait_until
from gimp_screen import ANY_DIALOG, CHECKOUT, PICTURE, SHORTCUT, SHOTS, Screen

PLACES = {
    # size of the screen, GDK_SCALE, whether the theme is dark
    "1366-dark": ("1366x768", 1, True),
    "1366-light": ("1366x768", 1, False),
    "1920-dark": ("1920x1080", 1, True),
    "1366-scale2": ("1366x768", 2, True),
    "2732-scale2-light": ("2732x1536", 2, False),
}

_BROKEN = (
    "import sys; sys.stderr.write('a long line of what the worker says ' * 40 + chr(10) * 3); "
    "sys.exit(3)"
)


def take(version: str, name: str, language: str) -> None:
    """Take the pictures of one place."""
    size, scale, dark = PLACES[name]
    with tempfile.TemporaryDirectory() as folder:
        gimp = Gimp(version, root.CACHE / version, Path(folder), fonts=True)
        gimp.prepare()
        rc = gimp.profile / "gimprc"
        rc.write_text(rc.read_text() + f"(theme-color-scheme {'dark' if dark else 'light'})\n")
        (gimp.profile / "shortcutsrc").write_text(SHORTCUT)
        gimp.install(details=["auto", "guided", "network"])
        picture = gimp.folder / "bridge.png"
        pyvips.Image.new_from_file(str(PICTURE)).write_to_file(str(picture))
        environment = {"GDK_SCALE": str(scale)} if scale > 1 else {}
        if language:
            # GIMP's own texts are translated in a locale alone.
            environment |= {"LANGUAGE": language, "LANG": "de_DE.UTF-8"}
        screen = Screen(gimp, size, **environment)
        try:
            screen.open(picture)
            _take_states(gimp, screen, f"dialog-{name}-{language or 'en'}", language)
        finally:
            screen.close()
            print(f"--- {name}: what was said on stderr")
            print(screen.log.read_text(errors="replace"))
            gimp.close()


def _take_states(gimp: Gimp, screen: Screen, name: str, language: str) -> None:
    if not language:
        time.sleep(2)
        screen.keys("alt+r", "h")
        time.sleep(1)
        screen.shot("window-menu")
        screen.keys("Escape", "Escape", "Escape")
    _open(screen)
    wait_until(lambda: _settled(screen, name), 40)
    screen.shot(f"{name}-preview")
    _take_by_keys(screen, name, language)
    screen.keys("Escape")
    _take_error(gimp, screen, name)


def _open(screen: Screen) -> None:
    """Open the dialog in any language."""
    time.sleep(1)
    screen.keys("ctrl+alt+h")
    screen.window(ANY_DIALOG)


def _take_by_keys(screen: Screen, name: str, language: str) -> None:
    split, full, detail, setup = _keys(language, "_Before/after", "_1:1", "Det_ail", "Check set_up")
    screen.keys(split)
    time.sleep(1)
    screen.shot(f"{name}-split")
    screen.shot("window-dialog", screen.window(ANY_DIALOG))
    screen.keys(split, full)
    time.sleep(3)
    screen.shot(f"{name}-full-size")
    screen.keys(detail, "space", "Down", "Down", "Return")
    time.sleep(8)
    screen.shot(f"{name}-network")
    screen.shot("window-network", screen.window(ANY_DIALOG))
    screen.keys(setup)
    time.sleep(2)
    screen.shot(f"{name}-setup")
    screen.keys("Escape")
    time.sleep(1)


def _keys(language: str, *texts: str) -> list[str]:
    """What to press for labels of the dialog, by their mnemonics in a language."""
    said = gettext.translation(
        "drht-plugin", CHECKOUT / "gimp/drht/locale", languages=[language], fallback=not language
    ).gettext
    return [f"alt+{said(text).partition('_')[2][0].lower()}" for text in texts]


def _take_error(gimp: Gimp, screen: Screen, name: str) -> None:
    setup = gimp.profile / "plug-ins/drht/worker.json"
    facts = json.loads(setup.read_text())
    interpreter = facts["command"][: facts["command"].index("-I") + 1]
    setup.write_text(json.dumps({**facts, "command": [*interpreter, "-c", _BROKEN]}))
    _open(screen)
    time.sleep(4)
    screen.shot(f"{name}-error")
    screen.keys("Escape")


def _settled(screen: Screen, name: str) -> bool:
    """Whether the dialog has not changed for a second."""
    window = screen.window(ANY_DIALOG)
    first = screen.shot(f"{name}-preview", window)
    time.sleep(1)
    second = screen.shot(f"{name}-preview", window)
    return first.shape == second.shape and (first == second).all() and first.std() > 30


def renew_documents(version: str) -> None:
    """Put small copies of the main pictures into the documents."""
    for name in ("dialog", "network", "menu"):
        image = pyvips.Image.new_from_file(str(SHOTS / f"{version}-window-{name}.png"))
        if name == "menu":
            image = image.crop(0, 0, min(870, image.width), min(620, image.height))
        path = CHECKOUT / "docs" / "pictures" / f"gimp_{name}.png"
        image.write_to_file(str(path), palette=True, Q=90, compression=9, strip=True)


def main() -> None:
    """Take the pictures that are asked for."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", choices=tuple(root.SUITES), default="3.0")
    parser.add_argument("--only", choices=tuple(PLACES), help="one place (default: all)")
    parser.add_argument("--language", default="", help="such as de or ja")
    parser.add_argument("--documents", action="store_true", help="renew those of the documents")
    options = parser.parse_args()
    if options.documents:
        take(options.version, "1366-dark", "")
        renew_documents(options.version)
        return
    for name in [options.only] if options.only else PLACES:
        take(options.version, name, options.language)
    print(f"pictures are in {SHOTS}")


if __name__ == "__main__":
    main()
