"""`ColourSpace`: a picture's own codes to linear sRGB and back, unbounded.

A picture's own light is what its codes stand for, channel by channel; it is what may be averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.colour import icc, primaries
from drht_plugin.colour.cicp import Cicp
from drht_plugin.colour.curves import Curve, SrgbCurve
from drht_plugin.errors import InputError

Array = npt.NDArray[np.floating]
Profile = bytes | Cicp
"""An ICC profile's bytes, or code points."""

_ALIKE = 1.5e-3
"""What is within this of sRGB, in display codes, is sRGB: profiles are rounded."""

_LATTICE = 9


class ColourSpace(Protocol):
    """Arrays are …×3, or …×1 for gray, where not said otherwise."""

    def __hash__(self) -> int: ...

    def light(self, codes: npt.NDArray[Any]) -> Array:
        """The picture's own light of its codes, both in 0..1."""
        ...

    def codes(self, light: npt.NDArray[Any]) -> Array:
        """The picture's codes of its own light, both in 0..1."""
        ...

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """The picture's own light to linear sRGB, …×3, unbounded."""
        ...

    def from_srgb(self, linear: npt.NDArray[Any], near: npt.NDArray[Any]) -> Array:
        """Linear sRGB, …×3, to the picture's own light, unbounded.

        near: own light that is not far from the result, to begin from.
        """
        ...


@dataclass(frozen=True)
class MatrixSpace:
    """Curves and a matrix; unbounded.

    curves: of red, green and blue. matrix: rows of the way from own light to linear sRGB.
    """

    curves: tuple[Curve, ...]
    matrix: tuple[tuple[float, ...], ...]

    def light(self, codes: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return _by_channel([curve.light for curve in self.curves], codes)

    def codes(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return _by_channel([curve.codes for curve in self.curves], light)

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return primaries.applied(np.array(self.matrix), light)

    def from_srgb(self, linear: npt.NDArray[Any], near: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return primaries.applied(np.linalg.inv(np.array(self.matrix)), linear)


@dataclass(frozen=True)
class CurveSpace:
    """One curve for all channels, and sRGB's primaries or gray."""

    curve: Curve

    def light(self, codes: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return self.curve.light(codes)

    def codes(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return self.curve.codes(light)

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return np.broadcast_to(light, (*light.shape[:-1], 3)).astype(np.float64)

    def from_srgb(self, linear: npt.NDArray[Any], near: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`; of gray, linear sRGB has the same in all channels."""
        return linear[..., : near.shape[-1]].astype(np.float64)


SRGB = CurveSpace(SrgbCurve())
"""What pictures are in that say nothing."""


def _by_channel(curves: list[Any], values: npt.NDArray[Any]) -> Array:
    return np.stack([curve(values[..., c]) for c, curve in enumerate(curves)], -1)


def space_of(profile: Any, *, colours: int, linear: bool = False) -> ColourSpace:
    """The colour space that a profile describes.

    Args:
        profile: bytes of an ICC profile, code points, or None for sRGB.
        colours: of the picture, 1 for gray or 3 for RGB.
        linear: the picture's values are linear light of the profile's primaries; display codes of
            them, by sRGB's curve, are what the result takes.

    Raises:
        InputError: it is neither, it is damaged, or of another number of colours.
    """
    if profile is None:
        return SRGB
    if isinstance(profile, Cicp):
        return _of_cicp(profile, colours, linear)
    if not isinstance(profile, bytes):
        given = type(profile).__name__
        raise InputError(f"the profile is a {given}; expected the bytes of an ICC profile, or Cicp")
    return _of_icc(profile, colours, linear)


def _of_cicp(profile: Cicp, colours: int, linear: bool) -> ColourSpace:
    curve = SrgbCurve() if linear else profile.curve
    if colours == 1:
        return _snapped(CurveSpace(curve), 1)
    matrix = primaries.to_srgb(primaries.to_d50(profile.chromaticities))
    return _snapped(MatrixSpace((curve,) * 3, _rows(matrix)), 3)


@lru_cache(maxsize=8)
def _of_icc(profile: bytes, colours: int, linear: bool) -> ColourSpace:
    found = icc.parse(profile)
    if found.colours != colours:
        kinds = {1: "gray", 3: "RGB"}
        raise InputError(
            f"the profile is one of {kinds[found.colours]} pictures; expected one of "
            f"{kinds[colours]}, as the image is"
        )
    if found.curves is None:
        from drht_plugin.colour.tables import TableSpace

        return _snapped(TableSpace(profile, found.relative, linear), 3)
    curves: tuple[Curve, ...] = (SrgbCurve(),) * colours if linear else found.curves
    if found.matrix is None:
        return _snapped(CurveSpace(curves[0]), 1)
    return _snapped(MatrixSpace(curves, _rows(primaries.to_srgb(found.matrix))), 3)


def _rows(matrix: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _snapped(space: ColourSpace, colours: int) -> ColourSpace:
    """The space, or sRGB itself where there is next to no difference."""
    steps = np.linspace(0, 1, _LATTICE if colours == 3 else 256)
    lattice = np.stack(np.meshgrid(*[steps] * colours, indexing="ij"), -1)
    ramp = np.linspace(0, 1, 256)[:, None].repeat(colours, 1)
    for codes in (lattice, ramp):
        seen = SRGB.codes(space.to_srgb(space.light(codes)))
        if np.abs(seen - codes).max() > _ALIKE:
            return space
    return SRGB
