"""Colour spaces named by code points of ITU-T H.273, as in nclx boxes and PNG's cICP chunk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drht_plugin.colour import icc
from drht_plugin.colour.curves import SRGB_PARAMETERS, Curve, ParametricCurve, SrgbCurve
from drht_plugin.colour.primaries import BT709, D65, Chromaticities, to_d50
from drht_plugin.errors import InputError

_UNSPECIFIED = 2
_C = (0.310, 0.316)
_PRIMARIES: dict[int, Chromaticities] = {
    1: BT709,
    _UNSPECIFIED: BT709,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
_SRGB = SrgbCurve()
# BT.709 and the other video transfers describe cameras. Their pictures are made for displays, whose
# curve is close to sRGB's.
_TRANSFERS: dict[int, Curve] = {
    1: _SRGB,
    _UNSPECIFIED: _SRGB,
    4: ParametricCurve(2.2),
    5: ParametricCurve(2.8),
    6: _SRGB,
    7: _SRGB,
    8: ParametricCurve(1.0),
    13: _SRGB,
    14: _SRGB,
    15: _SRGB,
}


_PQ, _HLG = 16, 18
_SAMPLES = 4096


@dataclass(frozen=True)
class Cicp:
    """Colour space named by code points of ITU-T H.273, as in AVIF's nclx and PNG's cICP.

    Attributes:
        primaries: ColourPrimaries, such as 1 (BT.709, sRGB), 9 (BT.2020), 12 (Display P3).
        transfer: TransferCharacteristics, such as 13 (sRGB), 8 (linear), 4 (gamma 2.2).

    Raises:
        InputError: an unknown code point. PQ and HLG are refused too, as they go beyond white.
    """

    primaries: int
    transfer: int

    def __post_init__(self) -> None:
        for name, known in (("primaries", _PRIMARIES), ("transfer", _TRANSFERS)):
            value = getattr(self, name)
            if type(value) is not int or value not in known:
                accepted = ", ".join(str(each) for each in known)
                raise InputError(f"{name} is {value!r}; expected one of {accepted}")

    @property
    def chromaticities(self) -> Chromaticities:
        """Chromaticities x, y of red, green, blue and white."""
        return _PRIMARIES[self.primaries]

    def profile(self, colours: int = 3) -> bytes:
        """Return the bytes of an ICC profile of the same space.

        Args:
            colours: 1 for gray or 3 for RGB.
        """
        curve = self.curve
        values = (curve.gamma,) if isinstance(curve, ParametricCurve) else SRGB_PARAMETERS
        tag = icc.parametric_tag(*values)
        if colours == 1:
            return icc.gray_profile(tag)
        return icc.matrix_profile(to_d50(self.chromaticities), tag)

    @property
    def curve(self) -> Curve:
        """Transfer curve of each channel."""
        return _TRANSFERS[self.transfer]


def profile_beyond_white(primaries: int, transfer: int) -> bytes | None:
    """Return the bytes of an ICC profile that states PQ or HLG, for files that hold no code points.

    Args:
        primaries: ColourPrimaries of ITU-T H.273.
        transfer: TransferCharacteristics; 16 for PQ or 18 for HLG.

    Returns:
        A profile whose white is the brightest code; None for other code points.
    """
    if primaries not in _PRIMARIES or transfer not in (_PQ, _HLG):
        return None
    codes = np.linspace(0, 1, _SAMPLES)
    light = _pq_light(codes) if transfer == _PQ else _hlg_light(codes)
    matrix = to_d50(_PRIMARIES[primaries])
    return icc.matrix_profile(matrix, icc.sampled_tag(light), (primaries, transfer))


def _pq_light(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the light of PQ's codes, 1 at 10 000 cd/m² (SMPTE ST 2084)."""
    root = codes ** (32 / 2523)
    top = np.maximum(root - 3424 / 4096, 0)
    light: npt.NDArray[np.float64] = (top / (2413 / 128 - 2392 / 128 * root)) ** (16384 / 2610)
    return light


def _hlg_light(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the scene light of HLG's codes, 1 at the brightest (ITU-R BT.2100)."""
    bright = (np.exp((codes - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(codes <= 0.5, codes**2 / 3, bright)
