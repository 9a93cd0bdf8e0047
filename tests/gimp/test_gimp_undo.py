"""Layers in GIMP's window: one undo for all, and what the user does to them meanwhile."""

from __future__ import annotations

from gimp_harness import Gimp, wait_for, wait_until
from gimp_screen import SECONDS, Screen, open_by_menu
from test_gimp_layers import HEIGHT, HELPERS, WIDTH, install_negative, sample


def test_one_undo_takes_all_layers_back(gimp: Gimp) -> None:
    """Two selected layers get a new layer each and are hidden; one undo takes all of it back."""
    install_negative(gimp)
    source, file = gimp.folder / "in", gimp.folder / "bridge.xcf"
    sample(source)
    gimp.run(f"""{HELPERS}
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, alpha=True)
image.set_selected_layers([layer, add(image, {str(source)!r}, "half")])
assert Gimp.file_save(
    Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path({str(file)!r}), None)
report(OUT)
""")
    screen = Screen(gimp)
    try:
        screen.open(file)
        clean = screen.title()
        assert "2 layers" in clean
        assert not clean.startswith("*")
        open_by_menu(screen)
        screen.leave("alt+o")
        wait_until(lambda: "4 layers" in screen.title(), SECONDS)
        assert screen.title().startswith("*")
        screen.press(screen.image, "ctrl+z", until=lambda: "2 layers" in screen.title())
        assert not screen.title().startswith("*")
    finally:
        screen.close()


def test_a_layer_that_is_removed_meanwhile(gimp: Gimp) -> None:
    """A layer that the user deletes while the dialog is open gets no result; GIMP says why."""
    install_negative(gimp, pause=gimp.folder)
    source, file = gimp.folder / "in", gimp.folder / "bridge.xcf"
    sample(source)
    gimp.run(f"""{HELPERS}
image, layer = make({str(source)!r}, {WIDTH}, {HEIGHT}, alpha=True)
image.set_selected_layers([add(image, {str(source)!r}, "half")])
assert Gimp.file_save(
    Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path({str(file)!r}), None)
report(OUT)
""")
    (gimp.profile / "shortcutsrc").write_text(
        '(file-version 1)\n(action "layers-delete" "<Primary><Alt>k")\n'
    )
    screen = Screen(gimp)
    try:
        screen.open(file)
        open_by_menu(screen)
        wait_for(gimp.folder / "busy")
        screen.press(screen.image, "ctrl+alt+k", until=lambda: "1 layer)" in screen.title())
        (gimp.folder / "go").touch()
        screen.leave("alt+o")
        wait_until(lambda: not gimp.running("plug-ins/drht/drht.py"), SECONDS)
        screen.shot("removed")
        assert "1 layer)" in screen.title()
        assert "Traceback" not in screen.log.read_text(errors="replace")
        screen.keys("Escape")
        screen.press(screen.image, "ctrl+z", until=lambda: "2 layers" in screen.title())
        assert not screen.title().startswith("*")
    finally:
        screen.close()
