"""What corrections are measured on: items with a known truth, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Item:
    """One picture to correct and what it should have become.

    name: unique in its set; groups: column → value, for the tables by group; ldr: H×W×3 uint8 or
    uint16 input; reference: H×W×3 uint8 or uint16, display-encoded; radiance: H×W×3 float32 true
    H, 1.0 = the input's clip point, or None where it is not known; known: H×W, where the source
    of the radiance is not clipped itself; wrap: a 360° panorama, whose left and right edges meet.
    """

    name: str
    groups: Mapping[str, str]
    ldr: Codes
    reference: Codes
    radiance: FloatArray | None = None
    known: npt.NDArray[np.bool_] | None = field(default=None, repr=False)
    wrap: bool = False

    @property
    def picture(self) -> FloatArray:
        """The input, display-encoded in 0..1."""
        return unit(self.ldr)


def unit(codes: Codes) -> FloatArray:
    """Codes as float32 in 0..1."""
    result: FloatArray = codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
    return result


@dataclass(frozen=True)
class Lazy:
    """An item's name, and how it is made when its turn comes.

    `load` raises ReadError or InputError where it cannot be made.
    """

    name: str
    load: Callable[[], Item]


class Source(Protocol):
    """A data set; picklable, so that every worker process opens its own."""

    def items(self) -> list[Lazy]:
        """All items, in a fixed order, under names of their own.

        Raises:
            InputError: the set as a whole cannot be used.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What tells this set from others, as JSON values; no folders of this machine."""
        ...
