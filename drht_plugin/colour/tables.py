"""ICC profiles of look-up tables, evaluated by LittleCMS through libvips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.colour import primaries
from drht_plugin.errors import InputError
from drht_plugin.forks import require_own_process

Array = npt.NDArray[np.floating]

_STEPS, _MAX_STEP, _DAMPING = 8, 0.25, 1e-4
"""Newton iteration of the inverse: steps, largest change of a code in one step, and damping."""

_DIFFERENCE = 1 / 128
"""Finite difference for slopes (display codes)."""

_LUMA = np.array([[0.2126, 0.7152, 0.0722]])
_LAB_END = 6 / 29


@dataclass(frozen=True)
class TableSpace:
    """Space of an ICC profile's look-up tables; see `spaces.ColourSpace`.

    A table has no transfer curve, so own light is an approximation: codes decoded by sRGB's curve.
    Colours are limited by the library's CIELAB, whose a and b end at ±128.

    Attributes:
        profile: bytes of an ICC profile.
        relative: whether there is a table for the relative colorimetric intent. Otherwise the
            perceptual one is used.
        linear: whether the picture's values are linear. That is refused, as the tables are for
            display codes.

    Raises:
        InputError: the profile cannot be used, or the picture is linear.
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
        self._look_up(np.full((1, 1, 3), 0.5))

    def decode(self, codes: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return transfer.srgb_decode(codes)

    def encode(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return transfer.srgb_encode(light)

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`; light is clipped to 0..1."""
        return self._look_up(self.encode(light.clip(0, 1)))

    def from_srgb(self, linear: npt.NDArray[Any], start: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`; found by Newton iteration, as many profiles lack inverse tables.

        Colours brighter than white are scaled down to white's luminance first, and back after.
        """
        above = np.maximum(primaries.apply_matrix(_LUMA, linear), 1)
        wanted = transfer.srgb_encode(linear / above)
        codes = self.encode(start.clip(0, 1))
        for _ in range(_STEPS):
            srgb, slopes = self._slopes(codes)
            # Damped as by Levenberg, since a table may be flat.
            across = np.swapaxes(slopes, -1, -2)
            normal = across @ slopes + _DAMPING * np.eye(3)
            step = np.linalg.solve(normal, across @ (wanted - srgb)[..., None])[..., 0]
            codes = (codes + step.clip(-_MAX_STEP, _MAX_STEP)).clip(0, 1)
        return self.decode(codes) * above

    def _slopes(self, codes: Array) -> tuple[Array, Array]:
        """Return the unbounded sRGB codes of codes …×3, and their Jacobian, …×3×3."""
        srgb = transfer.srgb_encode(self._look_up(codes))
        columns = []
        for channel in range(3):
            moved = codes.copy()
            towards = np.where(codes[..., channel] < 0.5, _DIFFERENCE, -_DIFFERENCE)
            moved[..., channel] += towards
            change = transfer.srgb_encode(self._look_up(moved)) - srgb
            columns.append(change / towards[..., None])
        return srgb, np.stack(columns, -1)

    def _look_up(self, codes: Array) -> Array:
        """Convert codes …×3 in 0..1 to linear sRGB, unbounded."""
        import pyvips

        require_own_process("libvips")
        flat = np.rint(codes.reshape(1, -1, 3) * 65535).astype(np.uint16)
        image = pyvips.Image.new_from_array(flat).copy(interpretation="rgb16")
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", self.profile)
        try:
            intent = "relative" if self.relative else "perceptual"
            lab = image.icc_import(embedded=True, intent=intent, pcs="lab").numpy()
        except pyvips.Error as error:
            raise InputError("the profile cannot be used") from error
        return primaries.xyz_to_srgb(_lab_to_xyz(lab.astype(np.float64))).reshape(codes.shape)


def _lab_to_xyz(lab: Array) -> Array:
    """Convert CIELAB to XYZ, both relative to D50."""
    middle = (lab[..., 0] + 16) / 116
    places = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], -1)
    straight = 3 * _LAB_END**2 * (places - 4 / 29)
    return np.where(places > _LAB_END, places**3, straight) * primaries.D50_XYZ
