"""Convert an overview to sRGB for the networks, and their results back to its own colours.

Colours outside the sRGB gamut are clipped for the networks. What was cut off is kept as a
difference of linear light and added back to the result, scaled by the gain that the networks give
the clipped colour. So saturated colours stay saturated.
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
"""Light that is added before a gain is taken; next to black there is only noise."""


@dataclass(frozen=True)
class NetworkView:
    """An overview in sRGB codes, with what is needed to convert results back.

    Attributes:
        space: the overview's own colour space.
        light: h×w×colours, the overview's own linear light.
        codes: h×w×3 float32, sRGB codes in 0..1: what the networks see.
        in_gamut: h×w×3, linear sRGB of `codes`.
        out_of_gamut: h×w×3, linear sRGB that was clipped off.
    """

    space: ColourSpace
    light: Light
    codes: FloatArray
    in_gamut: Light
    out_of_gamut: Light

    def restore(self, corrected: FloatArray) -> FloatArray:
        """Convert T from sRGB codes to the picture's own codes.

        Args:
            corrected: h×w×3 float32 in 0..1.

        Returns:
            h×w×3 float32 in 0..1.
        """
        if self.space is SRGB:
            return corrected
        light = self._to_own_light(transfer.srgb_decode(corrected.astype(np.float64)))
        return _to_three_channels(self.space.encode(light.clip(0, 1)))

    def restore_y(self, y: FloatArray) -> FloatArray:
        """Convert y from linear sRGB to the picture's own primaries.

        Args:
            y: h×w×3 float32, y = α·H^γ.

        Returns:
            h×w×3 float32, y = α·H^γ.
        """
        if self.space is SRGB:
            return y
        light = self._to_own_light(transfer.to_radiance(y.astype(np.float64)))
        return _to_three_channels(transfer.to_ldr_domain(light.clip(0, transfer.H_MAX)))

    def _to_own_light(self, linear: Light) -> Light:
        """Convert linear sRGB to the overview's own light, with the clipped colours added back."""
        before, after = (apply_matrix(LUMA[None], each) for each in (self.in_gamut, linear))
        gain = (after + _BLACK) / (before + _BLACK)
        return self.space.from_srgb(linear + gain * self.out_of_gamut, self.light)


def to_network_space(ldr: FloatArray, space: ColourSpace, *, colours: int) -> NetworkView:
    """Convert an overview to the sRGB codes that the networks see.

    Args:
        ldr: h×w×3 float32 in 0..1, in the picture's own codes.
        space: colour space of these codes.
        colours: 1 for gray, where the three channels are equal, or 3.

    Returns:
        The view. For an sRGB picture its codes are `ldr` itself.
    """
    if space is SRGB:
        nothing = np.zeros((0, 0, 3))
        return NetworkView(space, nothing, ldr, nothing, nothing)
    light = space.decode(ldr[..., :colours].astype(np.float64))
    linear = space.to_srgb(light)
    inside = linear.clip(0, 1)
    codes = transfer.srgb_encode(inside).astype(np.float32)
    return NetworkView(space, light, codes, inside, linear - inside)


def _to_three_channels(values: npt.NDArray[Any]) -> FloatArray:
    """Return h×w×1 or h×w×3 values as contiguous float32 in three channels."""
    shape = (*values.shape[:2], 3)
    return np.ascontiguousarray(np.broadcast_to(values, shape), np.float32)
