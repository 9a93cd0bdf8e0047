"""The one door to every compared method: what may go in is checked here and nowhere else.

Behind it a method may count on a float32 H×W×3 array of 0..1 that is its own to keep, and may give
any float array of that shape: the door makes it float32 and bounds it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError

Picture: TypeAlias = NDArray[np.float32]
"""H×W×3; display-encoded 0..1, or scene-linear ≥ 0 for what an expander gives."""

Plane: TypeAlias = NDArray[np.float32]
"""H×W."""

Method: TypeAlias = Callable[[Picture], Picture]


def check(picture: Picture) -> None:
    """Refuse what is not a display-encoded picture.

    Raises:
        InputError: wrong type, dtype or shape, empty, not finite, or outside 0..1.
    """
    accepted = "expected a float32 H×W×3 array of display-encoded values in 0..1"
    if not isinstance(picture, np.ndarray):
        raise InputError(f"got a {type(picture).__name__}; {accepted}")
    if picture.dtype != np.float32:
        raise InputError(f"got dtype {picture.dtype}; {accepted}")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        raise InputError(f"got shape {picture.shape}; {accepted}")
    low, high = picture.min(), picture.max()
    if not (low >= 0 and high <= 1):  # NaN fails this too
        raise InputError(f"got values from {low} to {high}; {accepted}")


def corrector(method: Method) -> Method:
    """`method` with checked input, giving float32 in 0..1."""
    return _door(method, 1.0)


def expander(method: Method) -> Method:
    """`method` with checked input, giving float32 ≥ 0."""
    return _door(method, None)


def _door(method: Method, ceiling: float | None) -> Method:
    @functools.wraps(method)
    def checked(picture: Picture) -> Picture:
        check(picture)
        result = method(picture.copy())
        return np.clip(result, 0.0, ceiling).astype(np.float32, copy=False)

    return checked
