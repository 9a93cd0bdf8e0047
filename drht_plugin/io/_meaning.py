"""What the stored values of a file mean, decided once when it is opened, for all codecs.

A codec's reader returns values as they are stored. `MeantReader` turns them into what the rest of
the package takes: 0 is black, alpha is straight, and 10 or 12 bits fill uint16. `Meaning.encode`
is the way back, for a file of the source's own kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from drht_plugin.io._pixels import (
    Pixels,
    expand_bits,
    invert_colours,
    premultiply,
    unpremultiply,
)
from drht_plugin.io._rows import Reader, Shape, tolerate

_ALPHA = (2, 4)


@dataclass(frozen=True)
class Meaning:
    """What stored values mean.

    Attributes:
        white_is_zero: whether 0 is white, as in TIFF's photometric interpretation 0. It is
            inverted on reading, and written as black is zero.
        premultiplied: whether colours are multiplied by alpha, where there is alpha.
        bits: significant bits of uint16 values that are stored in the high bits; 0 for all.
    """

    white_is_zero: bool = False
    premultiplied: bool = False
    bits: int = 0

    @property
    def plain(self) -> bool:
        """Whether stored values are taken as they are."""
        return self == Meaning()

    def dtype_of(self, shape: Shape, stored: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of decoded pixels.

        Args:
            shape: H×W×C.
            stored: dtype of the stored values. Premultiplied half floats become float32, so that
                `encode` restores them.
        """
        divides = self.premultiplied and shape[2] in _ALPHA
        return np.dtype(np.float32) if divides and stored.kind == "f" else stored

    def decode(self, rows: Pixels) -> Pixels:
        """Turn stored values, R×W×C, into pixels: black is 0, straight alpha, all bits."""
        alpha = rows.shape[2] in _ALPHA
        if self.bits:
            rows = expand_bits(rows, self.bits)
        if self.premultiplied and alpha:
            rows = unpremultiply(rows)
        if self.white_is_zero:
            rows = invert_colours(rows, alpha=alpha)
        return rows

    def encode(self, rows: Pixels) -> Pixels:
        """Turn pixels, R×W×C, into values to be stored: premultiplied again.

        Floats stay float32. White stays the largest value, and bits are the codec's affair.
        """
        return premultiply(rows) if self.premultiplied and rows.shape[2] in _ALPHA else rows


class MeantReader:
    """Reader of the pixels that another reader's values mean; see `_rows.Reader`."""

    def __init__(self, stored: Reader, meaning: Meaning) -> None:
        self._stored, self._meaning = stored, meaning
        self.shape = stored.shape
        self.dtype = meaning.dtype_of(stored.shape, stored.dtype)

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        return self._meaning.decode(self._stored.read(top, bottom, step))

    def tolerate(self) -> bool:
        """Go on over damaged pixels; see `_rows.Tolerant`."""
        return tolerate(self._stored)

    def close(self) -> None:
        """Close the file."""
        self._stored.close()


def with_meaning(stored: Reader, meaning: Meaning) -> Reader:
    """Return a reader of pixels; the given one where its values are pixels already."""
    return stored if meaning.plain else MeantReader(stored, meaning)
