"""How much of the correction is applied."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from drht_plugin.errors import InputError

_NUMBERS = (int, float, np.integer, np.floating)


@dataclass(frozen=True)
class Strength:
    """How much of the correction is applied, in three numbers of 0..1.

    Attributes:
        strength: share of the whole correction; 0 returns the input bit for bit.
        shadows: share of it where it lifts luma.
        highlights: share of it where it lowers luma.

    Raises:
        InputError: a value that is no number of 0..1.
    """

    strength: float = 1.0
    shadows: float = 1.0
    highlights: float = 1.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, _NUMBERS) or not 0 <= value <= 1:
                raise InputError(f"{each.name} is {value!r}; expected a number from 0 to 1")


FULL = Strength()
"""The whole correction."""
