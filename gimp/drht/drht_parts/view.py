"""Which part of a picture a preview shows, and where: positions only, no pixels.

Sizes on the screen are in device pixels.
"""

import locale
from collections import namedtuple

CLOSEST = 16.0
"""Greatest zoom: device pixels to a pixel of the picture."""

_STEPS = sorted({*(2.0**power for power in range(-12, 5)), *(1.5 * 2.0**p for p in range(-12, 4))})

Part = namedtuple("Part", "height width top left rows columns")
"""What the worker is to show: the whole picture's size, and the part's place and size in it."""

Place = namedtuple("Place", "left top width height")
"""A rectangle on the screen."""


class View(namedtuple("View", "size area zoom centre")):
    """A view of a picture; its methods return other views.

    Attributes:
        size: the picture's width and height, in its pixels.
        area: width and height that there are on the screen.
        zoom: device pixels to a pixel of the picture; None fits the picture into the area.
        centre: the point of the picture in the middle of the area, 0 to 1 on both axes.
    """

    __slots__ = ()

    @property
    def fit(self):
        """The zoom at which the picture fits into the area."""
        pairs = zip(self.area, self.size, strict=True)
        return min(CLOSEST, *(area / side for area, side in pairs))

    @property
    def scale(self):
        """The zoom as a number."""
        return self.fit if self.zoom is None else self.zoom

    @property
    def percent(self):
        """The zoom as a text, by the user's locale."""
        share = 100 * self.scale
        return f"{locale.format_string('%.0f' if share >= 100 else '%.3g', share)} %"

    @property
    def is_full_size(self):
        """Whether each pixel of the picture is seen."""
        return self.scale >= 1

    @property
    def part(self):
        """The part of the picture that is seen, as large as the worker is to make it."""
        scale = min(1.0, self.scale)
        enlarged = max(1.0, self.scale)
        across, down = (
            _span(max(1, round(side * scale)), area / enlarged, centre)
            for side, area, centre in zip(self.size, self.area, self.centre, strict=True)
        )
        return Part(down[0], across[0], down[1], across[1], down[2], across[2])

    @property
    def place(self):
        """Where the part is on the screen; it may be larger than the area by parts of a pixel."""
        part, enlarged = self.part, max(1.0, self.scale)
        width, height = round(part.columns * enlarged), round(part.rows * enlarged)
        spare = self.area[0] - width, self.area[1] - height
        return Place(max(0, spare[0] // 2), max(0, spare[1] // 2), width, height)

    def fitted(self):
        """Return the view of the whole picture."""
        return self._replace(zoom=None, centre=(0.5, 0.5))

    def resized(self, area):
        """Return the view on an area of another size."""
        return self._replace(area=area)._kept_inside()

    def zoomed(self, zoom, at=None):
        """Return the view at another zoom.

        Args:
            zoom: the zoom; at the smallest, the picture fits.
            at: the point of the area that stays where it is; None for the middle.
        """
        least = min(1.0, self.fit)
        if zoom < least or (zoom == least and self.fit == least):
            return self.fitted()
        zoom = min(zoom, CLOSEST)
        at = at or (self.area[0] / 2, self.area[1] / 2)
        centre = []
        for axis in (0, 1):
            away = at[axis] - self.area[axis] / 2
            side = self.size[axis]
            centre.append(self.centre[axis] + away / (side * self.scale) - away / (side * zoom))
        return self._replace(zoom=zoom, centre=tuple(centre))._kept_inside()

    def stepped(self, steps, at=None):
        """Return the view zoomed in by steps; a negative number zooms out."""
        view = self
        for _ in range(abs(steps)):
            if steps > 0:
                zoom = next((each for each in _STEPS if each > view.scale * 1.001), CLOSEST)
            else:
                zoom = next((each for each in reversed(_STEPS) if each < view.scale * 0.999), 0.0)
            view = view.zoomed(zoom, at)
        return view

    def panned(self, right, down):
        """Return the view with the picture moved on the screen."""
        moved = (right, down)
        centre = (
            middle - by / (side * self.scale)
            for middle, by, side in zip(self.centre, moved, self.size, strict=True)
        )
        return self._replace(centre=tuple(centre))._kept_inside()

    def _kept_inside(self):
        """Return the view without room beside the picture that it need not have."""
        if self.zoom is None:
            return self
        centre = []
        for area, side, middle in zip(self.area, self.size, self.centre, strict=True):
            half = area / (2 * side * self.zoom)
            centre.append(0.5 if half >= 0.5 else min(1 - half, max(half, middle)))
        return self._replace(centre=tuple(centre))


def _span(whole, area, centre):
    """Return a side of the whole, and the first pixel and the number of those that are seen."""
    count = min(whole, max(1, int(-(-area // 1))))
    first = round(centre * whole - count / 2)
    return whole, min(max(0, first), whole - count), count
