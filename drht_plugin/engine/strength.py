"""How strongly a picture is corrected, and the last touch after that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from types import MappingProxyType
from typing import Any, TypedDict

from drht_plugin.errors import InputError

RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "strength": (0, 2),
        "shadows": (0, 1),
        "highlights": (0, 1),
        "exposure": (-3, 3),
        "temperature": (-100, 100),
        "tint": (-100, 100),
        "denoise": (0, 2),
    }
)
"""Least and greatest value of each control."""

PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "natural": {"strength": 0.7},
        "strong": {"strength": 1.5},
        "shadows-only": {"highlights": 0.0},
    }
)
"""Values that belong together, by name; the other controls keep their defaults."""


class Controls(TypedDict, total=False):
    """Arguments of the calls that correct; see `drht_plugin.correct`. None is the default."""

    strength: float | None
    shadows: float | None
    highlights: float | None
    exposure: float | None
    temperature: float | None
    tint: float | None
    denoise: float | None
    preset: str | None


@dataclass(frozen=True)
class Strength:
    """How strongly a picture is corrected, and the last touch after that.

    Exposure, temperature and tint multiply the result's linear light, in the picture's own colour
    space. In pictures of whole numbers, what would end above white is compressed towards white
    instead of clipped; floats keep what lies above white.

    Attributes:
        strength: share of the whole correction, 0..2. What is above 1 counts by the room that is
            left to white or black, so that the order of tones is kept.
        shadows: share of it where it lifts luma, 0..1.
        highlights: share of it where it lowers luma, 0..1.
        exposure: EV that the result is made brighter by, −3..3.
        temperature: how much warmer the result is made, in mired from D65, −100..100; below 0
            cooler. Gray pictures stay gray.
        tint: how much more magenta the result is made, −100..100; below 0 greener. A unit is 1/3000
            of CIE 1960's u and v.
        denoise: factor of the noise that the detail network is told, 0..2; only in network detail.

    Raises:
        InputError: a value that is no number of its range.
    """

    strength: float = 1.0
    shadows: float = 1.0
    highlights: float = 1.0
    exposure: float = 0.0
    temperature: float = 0.0
    tint: float = 0.0
    denoise: float = 1.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value, (least, most) = getattr(self, each.name), RANGES[each.name]
            number = isinstance(value, Real) and not isinstance(value, bool)
            if not number or not least <= value <= most:
                raise InputError(
                    f"{each.name} is {value!r}; expected a number from {least} to {most}"
                )
            # Numpy's short floats would make what is computed with them short, too.
            object.__setattr__(self, each.name, float(value))

    @classmethod
    def of(cls, preset: str | None = None, **values: float | None) -> Strength:
        """Return a preset with some values of one's own.

        Args:
            preset: one of `PRESETS`, or None.
            values: attributes; None takes the preset's value, or else the default.

        Raises:
            InputError: an unknown preset, or a value that is no number of its range.
        """
        if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
            raise InputError(f"preset is {preset!r}; expected one of {', '.join(PRESETS)}, or None")
        chosen = dict(PRESETS[preset]) if preset else {}
        chosen.update((name, value) for name, value in values.items() if value is not None)
        return cls(**chosen)

    @property
    def touches(self) -> bool:
        """Whether there is a last touch."""
        return bool(self.exposure or self.temperature or self.tint)

    @property
    def keeps_all(self) -> bool:
        """Whether every picture stays as it is, bit for bit."""
        return self.strength == 0 and not self.touches


def require_strength(strength: Any) -> None:
    """Refuse what is no `Strength`: a number would be taken for all of its values, or for none.

    Args:
        strength: any value.

    Raises:
        InputError: says what was given and what is accepted.
    """
    if not isinstance(strength, Strength):
        raise InputError(f"strength is {strength!r}; expected a Strength, as Strength(0.5)")


FULL = Strength()
"""The whole correction, without a last touch."""
