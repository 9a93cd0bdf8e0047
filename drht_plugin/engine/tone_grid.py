"""The tone grid: what carries the tone of an overview to any pixel of the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import NO_SLOPE

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ToneGrid:
    """Transforms of one picture, for gray (1 colour) or RGB (3 colours) pixels.

    transforms: gy×gx×(LEVELS·colours·(colours + 1)) float32; sides: h×w×2·colours float32, what
    they leave over of the target, then the input where it is a smooth slope that is lifted, and
    `NO_SLOPE` elsewhere.
    """

    transforms: FloatArray
    sides: FloatArray

    @cached_property
    def has_slopes(self) -> bool:
        """Whether anything is a slope."""
        return bool((self.sides[..., self.colours :] != NO_SLOPE).any())

    @property
    def colours(self) -> int:
        """1 for gray, 3 for RGB."""
        return self.sides.shape[2] // 2
