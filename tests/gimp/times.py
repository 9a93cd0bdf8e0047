"""Measure what a user of the plug-in waits for, in GIMP on a screen of its own.

    python tests/gimp/times.py [--version 3.2] [--megapixels 24]

Prints a line for each, with the load of the machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyvips
import root
from gimp_harness import Gimp, wait_until
from gimp_screen import DIALOG, PICTURE, Screen

_SCRIPT = """
import time
image, layer = load({picture!r}), None
image = image
layer = image.get_layers()[0]
stage = Stage({plugin!r}, layer, (900, 600))
first = stage.shown[0] - stage.start
ready = stage.shown[1] - stage.start
moves = []
for value in (0.3, 0.8, 1.4, 0.5, 1.0, 0.7, 1.2, 0.9):
    begin = time.monotonic()
    stage.config.set_property("strength", value)
    count = len(stage.shown)
    while len(stage.shown) == count:
        next(stage.steps)
    while Gtk.events_pending():
        Gtk.main_iteration()
    moves.append(time.monotonic() - begin)
begin = time.monotonic()
count = len(stage.shown)
stage.preview._look(stage.preview.view.zoomed(1.0))
while len(stage.shown) == count:
    next(stage.steps)
full = time.monotonic() - begin
stage.settle()
stage.end()
begin = time.monotonic()
status, made = call(image, layer, detail="guided")
direct = time.monotonic() - begin
again = []
for _ in range(5):
    begin = time.monotonic()
    call(image, layer, detail="guided")
    again.append(time.monotonic() - begin)

from drht_parts import apply, progress, settings, sources

class Bar:
    marks = []

    def __getattr__(self, name):
        return getattr(Gimp, name)

    def progress_update(self, share):
        self.marks.append((time.monotonic(), share))

moves_of = dict()
progress.Gimp = Bar()
for detail in ("guided", "network"):
    Bar.marks.clear()
    stage.config.set_property("detail", detail)
    begin = time.monotonic()
    chosen = sources.choose(image, [layer], settings.Settings(stage.config))
    apply.correct(image, chosen, settings.Settings(stage.config))
    seen = [(begin, 0.0)]
    for at, share in Bar.marks:
        if share > seen[-1][1]:
            seen.append((at, share))
    gaps = [after[0] - before[0] for before, after in zip(seen, seen[1:])]
    moves_of[detail] = [len(gaps), max(gaps), seen[-1][0] - begin, seen[1][0] - begin]
report(OUT, first=first, ready=ready, moves=moves, full=full, direct=direct, again=again,
       status=status, moves_of=moves_of, place=list(stage.preview._place))
"""


def main() -> None:
    """Measure and print."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", choices=tuple(root.SUITES), default="3.0")
    parser.add_argument("--megapixels", type=float, default=24.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gimp = Gimp(options.version, root.CACHE / options.version, Path(folder))
        gimp.prepare()
        gimp.install(details=["auto", "guided", "network"])
        small = pyvips.Image.new_from_file(str(PICTURE))
        factor = (options.megapixels * 1e6 / (small.width * small.height)) ** 0.5
        picture = gimp.folder / "bridge.tif"
        small.resize(factor).write_to_file(str(picture))
        screen = Screen(gimp, "1366x768")
        try:
            gimp.environment["DISPLAY"] = screen.display
            script = gimp.inside("inside_preview.py") + _SCRIPT.format(
                picture=str(picture), plugin=str(gimp.profile / "plug-ins/drht")
            )
            facts = gimp.run(script)
            assert facts["status"] == "success", facts
            print(f"{options.megapixels:g} megapixels, load {os.getloadavg()[0]:.1f}")
            print(f"picture before       {facts['first']:6.2f} s")
            print(f"corrected preview    {facts['ready']:6.2f} s")
            moves = np.array(facts["moves"]) * 1000
            print(f"slider to picture    {np.median(moves):6.0f} ms (largest {moves.max():.0f})")
            print(f"to 1:1               {facts['full'] * 1000:6.0f} ms")
            print(f"whole run, guided    {facts['direct']:6.2f} s")
            again = np.array(facts["again"])
            print(f"the same again       {np.median(again):6.2f} s (least {again.min():.2f})")
            for detail, (count, gap, seconds, first) in facts["moves_of"].items():
                print(f"bar, {detail:8s}        {count} moves in {seconds:.1f} s; the first after")
                print(f"                     {first:6.2f} s, then every {gap:.2f} s at most")
            screen.open(picture)
            _time_dialog(screen)
        finally:
            screen.close()
            gimp.close()


def _time_dialog(screen: Screen) -> None:
    """Time from the menu's entry to the dialog, and from OK to the result."""
    screen.keys("alt+r", "h")
    begin = time.monotonic()
    screen.keys("x")
    wait_until(lambda: screen.is_open(DIALOG), 30)
    print(f"dialog               {time.monotonic() - begin:6.2f} s")
    time.sleep(8)
    begin = time.monotonic()
    screen.keys("alt+o")
    wait_until(lambda: "2 layers" in screen.title(), 60)
    print(f"OK to new layer      {time.monotonic() - begin:6.2f} s")


if __name__ == "__main__":
    main()
