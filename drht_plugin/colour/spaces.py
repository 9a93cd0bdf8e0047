"""Colour spaces: a picture's own codes to linear sRGB and back, unbounded.

There are two steps. Each channel's transfer curve decodes codes to the picture's own linear light,
which may be averaged. A matrix or a table then converts that light to linear sRGB.
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
"""Bytes of an ICC profile, or code points of ITU-T H.273."""

_SRGB_TOLERANCE = 1.5e-3
"""Spaces that differ from sRGB by no more are sRGB, as profiles are rounded (display codes)."""

_LATTICE_SIDE = 9
"""Values of each channel at which an RGB space is compared with sRGB."""


class ColourSpace(Protocol):
    """Colour space of a picture; hashable.

    Arrays are …×3, or …×1 for gray, unless stated otherwise.
    """

    def __hash__(self) -> int: ...

    def decode(self, codes: npt.NDArray[Any]) -> Array:
        """Return the picture's own light of its codes, both in 0..1."""
        ...

    def encode(self, light: npt.NDArray[Any]) -> Array:
        """Return the picture's codes of its own light, both in 0..1."""
        ...

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """Convert the picture's own light to linear sRGB, …×3, unbounded."""
        ...

    def from_srgb(self, linear: npt.NDArray[Any], start: npt.NDArray[Any]) -> Array:
        """Convert linear sRGB to the picture's own light, unbounded.

        Args:
            linear: linear sRGB, …×3.
            start: own light close to the result, from which an iterative search starts.

        Returns:
            Own light, of the shape of `start`.
        """
        ...


@dataclass(frozen=True)
class MatrixSpace:
    """RGB space of three curves and a matrix; unbounded.

    Attributes:
        curves: transfer curves of red, green and blue.
        matrix: rows of the 3×3 matrix from own light to linear sRGB.
    """

    curves: tuple[Curve, ...]
    matrix: tuple[tuple[float, ...], ...]

    def decode(self, codes: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return _by_channel([curve.decode for curve in self.curves], codes)

    def encode(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return _by_channel([curve.encode for curve in self.curves], light)

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return primaries.apply_matrix(np.array(self.matrix), light)

    def from_srgb(self, linear: npt.NDArray[Any], start: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return primaries.apply_matrix(np.linalg.inv(np.array(self.matrix)), linear)


@dataclass(frozen=True)
class CurveSpace:
    """Space of one curve for all channels: gray, or RGB with sRGB's primaries."""

    curve: Curve

    def decode(self, codes: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return self.curve.decode(codes)

    def encode(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return self.curve.encode(light)

    def to_srgb(self, light: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`."""
        return np.broadcast_to(light, (*light.shape[:-1], 3)).astype(np.float64)

    def from_srgb(self, linear: npt.NDArray[Any], start: npt.NDArray[Any]) -> Array:
        """See `ColourSpace`; for gray, the first channel is taken, as all three are equal."""
        return linear[..., : start.shape[-1]].astype(np.float64)


SRGB = CurveSpace(SrgbCurve())
"""The space of pictures without a profile."""


def matrix_of(space: ColourSpace) -> npt.NDArray[np.float64] | None:
    """Return the 3×3 matrix from an RGB space's own light to linear sRGB; None for tables."""
    if isinstance(space, MatrixSpace):
        return np.array(space.matrix)
    return np.eye(3) if isinstance(space, CurveSpace) else None


def _by_channel(curves: list[Any], values: npt.NDArray[Any]) -> Array:
    return np.stack([curve(values[..., c]) for c, curve in enumerate(curves)], -1)


def space_of(profile: Any, *, colours: int, linear: bool = False) -> ColourSpace:
    """Return the colour space that a profile describes.

    Args:
        profile: bytes of an ICC profile, code points, or None for sRGB.
        colours: colour channels of the picture, 1 for gray or 3 for RGB.
        linear: whether the picture's values are linear light. The space then has the profile's
            primaries and sRGB's curve.

    Raises:
        InputError: `profile` is something else, is damaged, is for another number of colours, or
            consists of tables while the picture is linear.
    """
    if profile is None:
        return SRGB
    if isinstance(profile, Cicp):
        return _cicp_space(profile, colours, linear)
    if not isinstance(profile, bytes):
        given = type(profile).__name__
        raise InputError(f"the profile is a {given}; expected the bytes of an ICC profile, or Cicp")
    return _icc_space(profile, colours, linear)


def _cicp_space(profile: Cicp, colours: int, linear: bool) -> ColourSpace:
    curve = SrgbCurve() if linear else profile.curve
    if colours == 1:
        return _snap_to_srgb(CurveSpace(curve), 1)
    matrix = primaries.to_srgb(primaries.to_d50(profile.chromaticities))
    return _snap_to_srgb(MatrixSpace((curve,) * 3, _as_tuples(matrix)), 3)


@lru_cache(maxsize=8)
def _icc_space(profile: bytes, colours: int, linear: bool) -> ColourSpace:
    found = icc.parse(profile)
    if found.colours != colours:
        kinds = {1: "gray", 3: "RGB"}
        raise InputError(
            f"the profile is for {kinds[found.colours]} pictures; expected one for "
            f"{kinds[colours]}, as the image is"
        )
    if found.curves is None:
        from drht_plugin.colour.tables import TableSpace

        return _snap_to_srgb(TableSpace(profile, found.relative, linear), 3)
    curves: tuple[Curve, ...] = (SrgbCurve(),) * colours if linear else found.curves
    if found.matrix is None:
        return _snap_to_srgb(CurveSpace(curves[0]), 1)
    return _snap_to_srgb(MatrixSpace(curves, _as_tuples(primaries.to_srgb(found.matrix))), 3)


def _as_tuples(matrix: npt.NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in matrix.tolist())


def _snap_to_srgb(space: ColourSpace, colours: int) -> ColourSpace:
    """Return sRGB itself in place of a space that differs by rounding only."""
    steps = np.linspace(0, 1, _LATTICE_SIDE if colours == 3 else 256)
    lattice = np.stack(np.meshgrid(*[steps] * colours, indexing="ij"), -1)
    ramp = np.linspace(0, 1, 256)[:, None].repeat(colours, 1)
    for codes in (lattice, ramp):
        display = SRGB.encode(space.to_srgb(space.decode(codes)))
        if np.abs(display - codes).max() > _SRGB_TOLERANCE:
            return space
    return SRGB
