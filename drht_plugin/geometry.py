"""Regions and windows of an image: positions only, no pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """Rectangle of rows top..bottom−1 and columns left..right−1.

    In a panorama, columns may lie outside the image: they wrap around.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
    """

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row below the last one."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column right of the last one."""
        return self.left + self.width

    def holds(self, other: Region) -> bool:
        """Return whether all of `other` lies inside."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.bottom <= self.bottom
            and other.right <= self.right
        )

    def dilated(self, margin: int, height: int, width: int, *, wrap: bool) -> Region:
        """Return the region with a margin around it, cut at the image's borders.

        Args:
            margin: pixels on each side.
            height: of the image.
            width: of the image.
            wrap: whether the image is a panorama. Then the sides are not cut.
        """
        top, bottom = max(0, self.top - margin), min(height, self.bottom + margin)
        left, right = self.left - margin, self.right + margin
        if not wrap:
            left, right = max(0, left), min(width, right)
        return Region(top, left, bottom - top, right - left)


@dataclass(frozen=True)
class Window:
    """Position of a window in the image; its size is that of the pixels given with it.

    Attributes:
        top: row of its first pixel.
        left: column of its first pixel.
    """

    top: int = 0
    left: int = 0


ORIGIN = Window()
"""The window that starts at the image's first pixel."""
