"""Items to measure corrections on, with their ground truth, and the interface of data sets."""

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
    """A picture to correct and its ground truth.

    Attributes:
        name: unique name in the data set.
        groups: column → value, for the tables by group.
        ldr: H×W×3 uint8 or uint16 input, display-encoded.
        reference: H×W×3 uint8 or uint16 true LDR, display-encoded.
        radiance: H×W×3 float32 true H, 1.0 at the input's clip point; None if unknown.
        known: H×W bool, where the source of the radiance is not clipped itself; None for
            everywhere.
        wrap: whether it is a 360° panorama, whose left and right edges meet.
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
        """The input as H×W×3 float32, display-encoded in 0..1."""
        return unit(self.ldr)


def unit(codes: Codes) -> FloatArray:
    """Convert codes to float32.

    Args:
        codes: uint8 or uint16, of any shape.

    Returns:
        float32 in 0..1, of the same shape.
    """
    result: FloatArray = codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
    return result


@dataclass(frozen=True)
class LazyItem:
    """An item that is loaded or rendered when it is needed.

    Attributes:
        name: name of the item.
        load: function that returns the item; raises ReadError or InputError if it cannot.
    """

    name: str
    load: Callable[[], Item]


class Source(Protocol):
    """A data set; picklable, so that every worker process opens its own."""

    def items(self) -> list[LazyItem]:
        """Return all items in a fixed order, with unique names.

        Raises:
            InputError: the data set as a whole cannot be used.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return JSON values that identify the data set, without paths of this machine."""
        ...
