"""An overview as the networks see it: in sRGB codes; and what they made of it, taken back.

What sRGB's gamut does not hold is kept aside as a difference of light and added again, as much
brighter or darker as the networks make the rest: a colour that is too strong for sRGB keeps its
strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.colour.primaries import apply_matrix
from drht_plugin.colour.spaces import SRGB, ColourSpace
from drht_plugin.engine.pixels import LUMA

FloatArray = npt.NDArray[np.float32]
Light = npt.NDArray[np.floating]

_BLACK = 1e-4
"""Light that is added before a gain is taken, as next to black there is noise only."""


@dataclass(frozen=True)
class Seen:
    """What the networks see of an overview.

    Attributes:
        space: The overview's own.
        light: h×w×colours, the overview's own light.
        codes: h×w×3 float32, sRGB codes in 0..1.
        inside, outside: h×w×3, linear sRGB: what `codes` stand for, and what is to be added to it.
    """

    space: ColourSpace
    light: Light
    codes: FloatArray
    inside: Light
    outside: Light

    def back(self, corrected: FloatArray) -> FloatArray:
        """T in sRGB codes 0..1 to the picture's own codes 0..1; both h×w×3 float32."""
        if self.space is SRGB:
            return corrected
        light = self._own(transfer.srgb_decode(corrected.astype(np.float64)))
        return _three(self.space.encode(light.clip(0, 1)))

    def back_y(self, y: FloatArray) -> FloatArray:
        """Y of linear sRGB to y of the picture's own light; both h×w×3 float32."""
        if self.space is SRGB:
            return y
        light = self._own(transfer.to_radiance(y.astype(np.float64)))
        return _three(transfer.to_ldr_domain(light.clip(0, transfer.H_MAX)))

    def _own(self, linear: Light) -> Light:
        """Linear sRGB, what is outside added, to own light."""
        before, after = (apply_matrix(LUMA[None], each) for each in (self.inside, linear))
        gain = (after + _BLACK) / (before + _BLACK)
        return self.space.from_srgb(linear + gain * self.outside, self.light)


def seen(ldr: FloatArray, space: ColourSpace, *, colours: int) -> Seen:
    """What the networks see.

    Args:
        ldr: h×w×3, codes of the picture's own in 0..1.
        space: what they stand for.
        colours: of the picture; the three channels of gray are alike.
    """
    if space is SRGB:
        nothing = np.zeros((0, 0, 3))
        return Seen(space, nothing, ldr, nothing, nothing)
    light = space.decode(ldr[..., :colours].astype(np.float64))
    linear = space.to_srgb(light)
    inside = linear.clip(0, 1)
    codes = transfer.srgb_encode(inside).astype(np.float32)
    return Seen(space, light, codes, inside, linear - inside)


def _three(values: npt.NDArray[Any]) -> FloatArray:
    """Values h×w×1 or h×w×3 as float32 in three channels."""
    shape = (*values.shape[:2], 3)
    return np.ascontiguousarray(np.broadcast_to(values, shape), np.float32)
