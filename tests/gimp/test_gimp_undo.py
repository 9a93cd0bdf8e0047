"""Several layers in GIMP's window: one run, one undo."""

from __future__ import annotations

from gimp_harness import Gimp, wait_until
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
        screen.keys("alt+o")
        wait_until(lambda: "4 layers" in screen.title(), SECONDS)
        assert screen.title().startswith("*")
        screen.keys("ctrl+z")
        wait_until(lambda: "2 layers" in screen.title(), SECONDS)
        assert not screen.title().startswith("*")
    finally:
        screen.close()
