"""The tone grid: the data that carries the tone of an overview to any pixel of the image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import NO_SLOPE

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ToneGrid:
    """Tone grid of one picture with gray (n = 1) or RGB (n = 3) pixels.

    Attributes:
        transforms: gy×gx×(LEVELS·n·(n + 1)) float32, affine colour transforms in cells of position
            and luma.
        sides: h×w×2n float32 at the overview's pixels. The first n planes are the residual: what
            the transforms leave over of the target. The last n are the input where it is a lifted
            smooth slope, and `NO_SLOPE` elsewhere.
    """

    transforms: FloatArray
    sides: FloatArray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToneGrid) and all(
            np.array_equal(ours, theirs)
            for ours, theirs in ((self.transforms, other.transforms), (self.sides, other.sides))
        )

    def __hash__(self) -> int:
        return hash((self.transforms.tobytes(), self.sides.tobytes()))

    @cached_property
    def has_slopes(self) -> bool:
        """Whether any pixel of the overview is a lifted slope."""
        return bool((self.sides[..., self.colours :] != NO_SLOPE).any())

    @property
    def colours(self) -> int:
        """Number of colours: 1 for gray, 3 for RGB."""
        return self.sides.shape[2] // 2
