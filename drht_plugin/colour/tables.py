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

_STEPS, _FARTHEST, _DAMPING = 8, 0.25, 1e-4
"""Of the way back: steps, how far each may go, and what holds them where a table is flat."""

_MOVE = 1 / 128
"""How far apart codes are that slopes are taken from."""

_LUMA = np.array([[0.2126, 0.7152, 0.0722]])
_LAB_END = 6 / 29


@dataclass(frozen=True)
class TableSpace:
    """A space that is known by looking it up; see `spaces.ColourSpace`.

    Its own light is only near to light: codes by sRGB's curve. Colours end where the library's
    CIELAB does, at ±128. profile: bytes of an ICC profile. relative: it has tables of the relative
    colorimetric intent, not the perceptual one alone.
    linear: pixels are linear, and their display codes are not what the tables are of.

    Raises:
        InputError: the profile cannot be used, or not with linear pixels.
    """

    profile: bytes
    relative: bool
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
        """See `ColourSpace`; found by Newton's steps, as many profiles have no tables for it.

        What is brighter than white is found at white's brightness.
        """
        above = np.maximum(primaries.applied(_LUMA, linear), 1)
        wanted = transfer.srgb_encode(linear / above)
        codes = self.codes(near.clip(0, 1))
        for _ in range(_STEPS):
            seen, slopes = self._slopes(codes)
            # Damped (Levenberg), since a table may be flat.
            across = np.swapaxes(slopes, -1, -2)
            normal = across @ slopes + _DAMPING * np.eye(3)
            step = np.linalg.solve(normal, across @ (wanted - seen)[..., None])[..., 0]
            codes = (codes + step.clip(-_FARTHEST, _FARTHEST)).clip(0, 1)
        return self.light(codes) * above

    def _slopes(self, codes: Array) -> tuple[Array, Array]:
        """Unbounded sRGB codes of codes …×3, and how they change with each of these: …×3×3."""
        seen = transfer.srgb_encode(self._looked_up(codes))
        columns = []
        for channel in range(3):
            moved = codes.copy()
            towards = np.where(codes[..., channel] < 0.5, _MOVE, -_MOVE)
            moved[..., channel] += towards
            change = transfer.srgb_encode(self._looked_up(moved)) - seen
            columns.append(change / towards[..., None])
        return seen, np.stack(columns, -1)

    def _looked_up(self, codes: Array) -> Array:
        """Linear sRGB, unbounded, of codes …×3 in 0..1."""
        import pyvips

        flat = np.rint(codes.reshape(1, -1, 3) * 65535).astype(np.uint16)
        image = pyvips.Image.new_from_array(flat).copy(interpretation="rgb16")
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", self.profile)
        try:
            intent = "relative" if self.relative else "perceptual"
            lab = image.icc_import(embedded=True, intent=intent, pcs="lab").numpy()
        except pyvips.Error as error:
            raise InputError(f"the profile cannot be used: {error}") from error
        return primaries.xyz_to_srgb(_xyz(lab.astype(np.float64))).reshape(codes.shape)


def _xyz(lab: Array) -> Array:
    """CIELAB to XYZ, both of D50."""
    middle = (lab[..., 0] + 16) / 116
    places = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], -1)
    straight = 3 * _LAB_END**2 * (places - 4 / 29)
    return np.where(places > _LAB_END, places**3, straight) * primaries.D50_XYZ
