"""Transfer curves: display codes to linear light and back, both in 0..1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer

Array = npt.NDArray[Any]


SRGB_PARAMETERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, transfer.SRGB_CODED_END)
"""Gamma, a, b, c and d of sRGB's curve, in the order of `ParametricCurve`."""


ADOBE_GAMMA = 563 / 256
"""Exponent from codes to light of Adobe RGB."""


class Curve(Protocol):
    """Transfer curve of one channel; hashable."""

    def decode(self, codes: Array) -> Array:
        """Return the linear light of display codes, both in 0..1 and of the same shape."""
        ...

    def encode(self, light: Array) -> Array:
        """Return the display codes of linear light, both in 0..1 and of the same shape."""
        ...


@dataclass(frozen=True)
class SrgbCurve:
    """Transfer curve of sRGB (IEC 61966-2-1)."""

    def decode(self, codes: Array) -> Array:
        """See `Curve`."""
        return transfer.srgb_decode(codes)

    def encode(self, light: Array) -> Array:
        """See `Curve`."""
        return transfer.srgb_encode(light)


@dataclass(frozen=True)
class ParametricCurve:
    """ICC's parametric curve: (a·x + b)^gamma + e for x ≥ d, c·x + f below.

    With gamma alone it is a power curve.
    """

    gamma: float
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 0.0
    f: float = 0.0

    def decode(self, codes: Array) -> Array:
        """See `Curve`."""
        power = np.maximum(self.a * codes + self.b, 0) ** self.gamma + self.e
        return np.where(codes >= self.d, power, self.c * codes + self.f).clip(0, 1)

    def encode(self, light: Array) -> Array:
        """See `Curve`."""
        begin = max(self.a * self.d + self.b, 0.0) ** self.gamma + self.e
        power = (np.maximum(light - self.e, 0) ** (1 / self.gamma) - self.b) / self.a
        straight = (light - self.f) / self.c if self.c else np.zeros_like(light)
        return np.where(light >= begin, power, np.minimum(straight, self.d)).clip(0, 1)


@dataclass(frozen=True)
class SampledCurve:
    """Curve of samples, interpolated linearly.

    Attributes:
        samples: light in 0..1 of evenly spaced codes, in ascending order.
    """

    samples: tuple[float, ...]

    def decode(self, codes: Array) -> Array:
        """See `Curve`."""
        return np.interp(codes, np.linspace(0, 1, len(self.samples)), self.samples)

    def encode(self, light: Array) -> Array:
        """See `Curve`."""
        return np.interp(light, self.samples, np.linspace(0, 1, len(self.samples)))
