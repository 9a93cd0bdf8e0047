"""The last touch: exposure and white balance of the corrected picture, in linear light.

Each colour's light is multiplied by a gain. Gains of one for all colours are an exposure; those of
a white balance keep the luminance of gray. What a gain makes of a code depends on the code alone,
so it is tabulated once as a curve, in the picture's own transfer curve.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.colour import primaries
from drht_plugin.colour.spaces import ColourSpace, Profile, space_of
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.floating]

_PARTS = 1 << 14
"""Parts of a curve. It is off by less than a tenth of a 16-bit code at +3 EV, near black."""

_KNEE = 0.4
"""Light from which on a lifted picture of whole numbers is compressed, so as to end at white."""

_WHITE_KELVIN = 6504.0
"""Colour temperature of D65."""

_TINT_UNIT = 1 / 3000
"""Distance from the Planckian locus for a tint of 1, in u and v of CIE 1960, as in DNG."""

_LEAST_GAIN = 1 / 16
"""Least gain of a colour by a white balance."""


@dataclass(frozen=True, eq=False)
class Touch:
    """What the last touch makes of a picture's values.

    Attributes:
        gains: factors of the linear light of the n colours, float32.
        curves: n×(parts + 2) float32: new values of even values of 0..1 and of 2, see
            `bridge.touching.apply_curves`; None for linear floats, which are multiplied.
    """

    gains: FloatArray = field(repr=False)
    curves: FloatArray | None = field(repr=False)

    def apply(self, values: FloatArray) -> None:
        """Change values in place.

        Args:
            values: R×C×K float32, contiguous, 1.0 = white, linear where the picture is; channels
                behind the colours stay as they are.
        """
        if self.curves is None:
            with np.errstate(over="ignore"):
                values[..., : len(self.gains)] *= self.gains
            return
        from drht_plugin.bridge.touching import apply_curves

        apply_curves(values, self.curves)


def touch_of(scene: Scene, strength: Strength) -> Touch | None:
    """Return the last touch that is asked for; None if there is none.

    Args:
        scene: the picture's scene, which knows its colour space.
        strength: what is asked for.
    """
    spec = scene.spec
    gray = spec.colours == 1
    balance = (0.0, 0.0) if gray else (float(strength.temperature), float(strength.tint))
    if not strength.exposure and not any(balance):
        return None
    return _touch(
        scene.profile,
        spec.colours,
        spec.linear,
        spec.dtype.kind == "u",
        float(strength.exposure),
        *balance,
    )


def touch_alone(spec: ImageSpec, source: npt.NDArray[Any], touch: Touch) -> FloatArray:
    """Return the touched values of a picture that is not corrected.

    Args:
        spec: the picture's spec.
        source: R×C×K pixels of its dtype.
        touch: what to apply.

    Returns:
        R×C×K float32, contiguous, 1.0 = white.
    """
    values = source.astype(np.float32, order="C") * np.float32(1 / spec.white)
    touch.apply(values)
    return values


@lru_cache(maxsize=16)
def _touch(
    profile: Profile | None,
    colours: int,
    linear: bool,
    whole: bool,
    exposure: float,
    temperature: float,
    tint: float,
) -> Touch:
    space = space_of(profile, colours=colours, linear=linear)
    gains = 2**exposure * _balance_in(space, colours, temperature, tint)
    if linear and not whole:
        return Touch(_read_only(gains), None)
    values = np.linspace(0, 1, _PARTS + 1)[:, None].repeat(colours, 1)
    light = values if linear else space.decode(values)
    light = light * gains
    if whole:
        light = _compress(light)
    coded = light if linear else _encode_unbounded(space, light)
    slope = _PARTS * (coded[-1] - coded[-2])
    return Touch(_read_only(gains), _read_only(np.vstack([coded, coded[-1] + slope]).T))


def white_gains(temperature: float, tint: float) -> Array:
    """Return the linear sRGB of the white that a white balance makes of white.

    Args:
        temperature: −100 to 100, mired from D65 along the Planckian locus; warmer above 0.
        tint: −100 to 100, 1/3000 of u and v (CIE 1960) across it; more magenta above 0.

    Returns:
        3 float64 above 0 of luminance 1; ones for 0 and 0.
    """
    mired = 1e6 / _WHITE_KELVIN
    here = _locus(mired + temperature)
    along = _locus(mired + temperature + 0.5) - _locus(mired + temperature - 0.5)
    across = np.array([along[1], -along[0]]) / np.hypot(*along)  # towards magenta
    place = here + tint * _TINT_UNIT * across
    gains = (_to_srgb(place) / _to_srgb(_locus(mired))).clip(_LEAST_GAIN)
    balanced: Array = gains / (gains @ np.array(transfer.LUMA_WEIGHTS))
    return balanced


def _locus(mired: float) -> Array:
    """Return u and v (CIE 1960) of a black body (Krystek 1985)."""
    t = 1e6 / mired
    u = 0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t**2
    v = 0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t**2
    return np.array(
        [
            u / (1 + 8.42420235e-4 * t + 7.08145163e-7 * t**2),
            v / (1 - 2.89741816e-5 * t + 1.61456053e-7 * t**2),
        ]
    )


def _to_srgb(place: Array) -> Array:
    """Return the linear sRGB of luminance 1 at u and v."""
    u, v = place
    xyz = np.array([1.5 * u / v, 1.0, (4 - u - 10 * v) / (2 * v)])
    solved: Array = np.linalg.solve(primaries.to_xyz(primaries.BT709), xyz)
    return solved


def _balance_in(space: ColourSpace, colours: int, temperature: float, tint: float) -> Array:
    """Return the gains of a space's own light."""
    if colours == 1 or not (temperature or tint):
        return np.ones(colours)
    ones = np.ones((1, 3))
    wanted = space.from_srgb(white_gains(temperature, tint)[None], ones)
    return (wanted / space.from_srgb(ones, ones))[0].clip(_LEAST_GAIN)


def _compress(light: Array) -> Array:
    """Bend light above the knee so that what the brightest code becomes is white.

    Args:
        light: (parts + 1)×n, ascending.

    Returns:
        The same with a slope of 1 at the knee, ascending up to 1; what ends below 1 is unchanged.
    """
    over = np.maximum(light - _KNEE, 0)
    most = np.maximum(light[-1], 1) - _KNEE
    return np.minimum(light, _KNEE) + over / (1 + (1 / (1 - _KNEE) - 1 / most) * over)


def _encode_unbounded(space: ColourSpace, light: Array) -> Array:
    """Encode light by a space's curve up to white, and by sRGB's above, where curves end."""
    beyond = transfer.srgb_encode(np.maximum(light, 1)) - 1
    return space.encode(np.minimum(light, 1)) + beyond


def _read_only(values: Array) -> FloatArray:
    made = np.ascontiguousarray(values, np.float32)
    made.flags.writeable = False
    return made
