"""A preview in a window of its own, which tests' scripts within GIMP look at and act on."""

from __future__ import annotations

import sys
import time
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gimp, GimpUi, Gtk  # noqa: E402


class Stage:
    """A preview of a layer, fed by a worker as the dialog feeds it.

    Args:
        plugin: the folder of the installed plug-in.
        layer: the layer.
        size: of the window, in its own pixels.
    """

    def __init__(self, plugin: str, layer: Any, size: tuple[int, int] = (600, 440)) -> None:
        sys.path.insert(0, plugin)
        sys.dont_write_bytecode = True
        GimpUi.init("stage")
        from drht_parts.feed import Feed  # type: ignore[import-not-found]
        from drht_parts.preview import Preview  # type: ignore[import-not-found]

        procedure = Gimp.get_pdb().lookup_procedure("plug-in-drht-recover-exposure")
        self.config = procedure.create_config()
        self.preview = Preview((layer.get_width(), layer.get_height()))
        self.shown: list[float] = []
        self.said: list[tuple[float, str, float]] = []
        show = self.preview.show

        def note(pair: Any) -> None:
            show(pair)
            self.shown.append(time.monotonic())

        self.preview.show = note
        self.start = time.monotonic()
        from drht_parts.sources import Source  # type: ignore[import-not-found]

        image = layer.get_image()
        self.feed = Feed(image, Source(layer, layer), self.config, self.preview, self._report)
        self.window = Gtk.Window()
        self.window.add(self.preview.box)
        self.window.set_default_size(*size)
        self.window.show_all()
        self.steps = self.feed.steps()
        self.settle()

    def _report(self, text: str, share: float) -> None:
        self.said.append((time.monotonic() - self.start, text, share))

    def settle(self, quiet: float = 0.3) -> None:
        """Work and take events until there has been nothing to do for some seconds."""
        idle = None
        while idle is None or time.monotonic() - idle < quiet:
            while Gtk.events_pending():
                Gtk.main_iteration()
            if next(self.steps) is not None:
                idle = None
            elif idle is None:
                idle = time.monotonic()
            else:
                time.sleep(0.005)

    def pixels(self, split: float | None = None) -> dict[str, Any]:
        """What is shown: rows of R, G and B, and where; by default as the preview shows it."""
        place = self.preview._place
        shown = self.preview._shown_split() if split is None else split
        picture = self.preview.pair.shown(place, shown)
        width, height, stride = picture.get_width(), picture.get_height(), picture.get_rowstride()
        data, channels = picture.get_pixels(), picture.get_n_channels()
        rows = [data[stride * row : stride * row + channels * width] for row in range(height)]
        codes, colours = b"".join(rows), bytearray(3 * width * height)
        for channel in range(3):
            colours[channel::3] = codes[channel::channels]
        return {"hex": colours.hex(), "width": width, "height": height, "place": list(place)}

    def look(self, view: Any) -> None:
        """Look at something else."""
        self.preview._look(view)
        self.settle()

    def end(self) -> None:
        """Let the worker end."""
        self.steps.close()
        self.feed.correction.worker.close()
