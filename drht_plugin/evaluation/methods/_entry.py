"""Validation of the input and output of every compared method.

A method gets its own copy of a float32 H×W×3 array in 0..1, which it may change. It may return any
float array of that shape, which is converted to float32 and clipped.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError

Picture: TypeAlias = NDArray[np.float32]
"""H×W×3, display-encoded in 0..1, or scene-linear ≥ 0 as the result of an expander."""

Plane: TypeAlias = NDArray[np.float32]
"""H×W."""

Method: TypeAlias = Callable[[Picture], Picture]


def check(picture: Picture) -> None:
    """Refuse anything but a display-encoded picture.

    Args:
        picture: the input of a method.

    Raises:
        InputError: it is not a float32 H×W×3 array, is empty, or has values that are not finite
            or outside 0..1.
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
    """Wrap a method so that it checks its input and returns float32 in 0..1.

    Args:
        method: function from an LDR picture to an LDR picture.

    Returns:
        The wrapped method.
    """
    return _validated(method, 1.0)


def expander(method: Method) -> Method:
    """Wrap a method so that it checks its input and returns float32 of 0 or more.

    Args:
        method: function from an LDR picture to scene-linear light.

    Returns:
        The wrapped method.
    """
    return _validated(method, None)


def _validated(method: Method, ceiling: float | None) -> Method:
    @functools.wraps(method)
    def checked(picture: Picture) -> Picture:
        check(picture)
        result = method(picture.copy())
        return np.clip(result, 0.0, ceiling).astype(np.float32, copy=False)

    return checked
