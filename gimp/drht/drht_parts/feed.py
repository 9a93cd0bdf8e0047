"""What the preview is fed with: parts of the picture as they are asked for, in steps.

A step that yields None has nothing to do.
"""

import time

from .compose import Masks, Pair
from .correction import Correction
from .moving import moving
from .screen import ScreenColours
from .settings import Settings
from .text import _

_STRIP = 192
"""Rows of network detail that are rendered at once, so that the sliders are not kept waiting."""

_SETTLE = 0.12
"""Seconds that a window has to keep its size before the part is made anew."""


class Feed:
    """Feeds a preview from a worker.

    Args:
        image: the image.
        source: what to correct, see `sources.Source`.
        config: GIMP's configuration of the procedure.
        preview: the preview, see `preview.Preview`.
        report: told what is done, as text and share; an empty text says that it is done.

    Attributes:
        correction: the correction so far; None before the first step.
    """

    def __init__(self, image, source, config, preview, report):
        self.correction = None
        self._layer, self._config = source.drawable, config
        self._preview, self._report = preview, report
        self._masks = Masks(image, source)
        self._colours = self._part = None
        self._before = self._after = self._made = self._refined = None
        self._area, self._since = None, 0.0

    def steps(self):
        """Load and survey the picture, and render what is to be seen, for as long as it lives."""
        self._report(_("Starting the worker…"), 0.0)
        yield 0.0
        correction = self.correction = Correction(self._layer, patience=0.004)
        self._part = self._made = None
        yield from self._told(_("Loading the picture…"), correction.load())
        self._colours = ScreenColours(self._preview.widget, self._layer, correction.layout)
        while True:
            settings = Settings(self._config)
            if self._colours.refresh():
                self._part = None
            if self._preview.view.part != self._part:
                yield from self._load_part()
            elif (look := (self._part, *settings.look())) != self._made:
                yield from self._told(_("Analysing the picture…"), correction.survey(settings.wrap))
                yield from self._render(settings, detail="guided")
                self._made, self._refined = look, None
                self._report("", 1.0)
            elif self._wants_detail(settings) and self._refined != (look, settings.fine_look()):
                yield from self._refine(settings, look)
            else:
                yield None

    def _load_part(self):
        area = self._preview.view.area
        if area != self._area:
            self._area, self._since = area, time.monotonic()
        if self._part is not None and time.monotonic() - self._since < _SETTLE:
            yield None
            return
        part = self._preview.view.part
        yield from self.correction.show(part)
        self._part, self._made = part, None
        window = self.correction.window
        self._before = self._colours.convert(window.pixels(), window.width, window.height)
        if self._preview.pair is None:
            self._preview.show(Pair(part, self._before, None, self._masks))

    def _render(self, settings, **fields):
        window = self.correction.window
        yield from self.correction.render(window, settings, **fields)
        after = self._colours.convert(window.result(), window.width, window.height)
        self._preview.show(Pair(self._part, self._before, after, self._masks))

    def _wants_detail(self, settings):
        return settings.detail != "guided" and self._preview.view.is_full_size

    def _refine(self, settings, look):
        """Render the part in the detail that the user has chosen, in strips."""
        fine = settings.fine_look()
        for top in range(0, self._part.rows, _STRIP):
            now = Settings(self._config)
            if self._preview.view.part != self._part or (now.look(), now.fine_look()) != (
                settings.look(),
                fine,
            ):
                return
            self._report(_("Rendering detail…"), top / self._part.rows)
            yield from self._render(settings, rows=[top, min(self._part.rows, top + _STRIP)])
        self._refined = look, fine
        self._report("", 1.0)

    def _told(self, text, steps):
        for share in moving(steps):
            self._report(text, share)
            yield share
