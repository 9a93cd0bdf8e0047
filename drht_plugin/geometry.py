"""Regions and windows of an image: places only, no pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """Rows top..bottom−1 and columns left..right−1; columns of a panorama may lie outside it."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The row after the last."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column after the last."""
        return self.left + self.width

    def holds(self, other: Region) -> bool:
        """Whether all of `other` lies inside."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.bottom <= self.bottom
            and other.right <= self.right
        )

    def dilated(self, margin: int, height: int, width: int, *, wrap: bool) -> Region:
        """With `margin` pixels around it, cut at the image's borders; not sideways if `wrap`."""
        top, bottom = max(0, self.top - margin), min(height, self.bottom + margin)
        left, right = self.left - margin, self.right + margin
        if not wrap:
            left, right = max(0, left), min(width, right)
        return Region(top, left, bottom - top, right - left)


@dataclass(frozen=True)
class Window:
    """Where a window lies: `top` and `left` of its first pixel in the image."""

    top: int = 0
    left: int = 0


ORIGIN = Window()
"""The window that begins at the image's first pixel."""
