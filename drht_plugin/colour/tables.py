"""Profiles of tables, which LittleCMS looks up, by way of libvips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.colour import primaries
from drht_plugin.errors import InputError

Array = npt.NDArray[np.floating]

_STEPS = 24
_STEP = 0.5
"""Of the way back: what a step takes of the difference. Channels of wide spaces act on one another
so strongly that whole steps would go too far."""

_LAB_END = 6 / 29


@dataclass(frozen=True)
class TableSpace:
    """A space that is known by looking it up; see `spaces.ColourSpace`.

    Its own light is only near to light: codes by sRGB's curve. profile: bytes of an ICC profile.
    linear: pixels are linear, and their display codes are not what the tables are of.

    Raises:
        InputError: the profile cannot be used, or not with linear pixels.
    """

    profile: bytes
    linear: bool = False

    def __post_init__(self) -> None:
        if self.linear:
            raise InputError(
                "the profile consists of tables for display codes; expected one with a matrix, as "
                "the image's values are linear"
            )
        self._looked_up(np.full((1, 1, 3), 0.5))

    def light(self, codes: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return transfer.srgb_decode(codes)

    def codes(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return transfer.srgb_encode(light)

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`; of light in 0..1."""
        return self._looked_up(self.codes(light.clip(0, 1)))

    def from_srgb(self, linear: npt.NDArray[Any], near: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`; found by steps, as many profiles have no tables for the way back.

        What is brighter than white is found at white's brightness.
        """
        above = np.maximum(linear.max(-1, keepdims=True), 1)
        wanted = transfer.srgb_encode(linear / above)
        codes = self.codes(near.clip(0, 1))
        for _ in range(_STEPS):
            codes = (codes + _STEP * (wanted - transfer.srgb_encode(self._looked_up(codes)))).clip(
                0, 1
            )
        return self.light(codes) * above

    def _looked_up(self, codes: Array) -> Array:
        """Linear sRGB, unbounded, of codes …×3 in 0..1."""
        import pyvips

        flat = np.rint(codes.reshape(1, -1, 3) * 65535).astype(np.uint16)
        image = pyvips.Image.new_from_array(flat).copy(interpretation="rgb16")
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", self.profile)
        try:
            lab = image.icc_import(embedded=True, intent="relative", pcs="lab").numpy()
        except pyvips.Error as error:
            raise InputError(f"the profile cannot be used: {error}") from error
        return primaries.xyz_to_srgb(_xyz(lab.astype(np.float64))).reshape(codes.shape)


def _xyz(lab: Array) -> Array:
    """CIELAB to XYZ, both of D50."""
    middle = (lab[..., 0] + 16) / 116
    places = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], -1)
    straight = 3 * _LAB_END**2 * (places - 4 / 29)
    return np.where(places > _LAB_END, places**3, straight) * primaries.D50_XYZ
