"""Validation of the images and options of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.bridge.transfer import LUMA_WEIGHTS

from ...errors import InputError

_CODE_MAX = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}

Array = NDArray[np.float64]
AnyArray = NDArray[Any]

BT601_LUMA = (0.299, 0.587, 0.114)
BT709_LUMINANCE = LUMA_WEIGHTS


def display_encoded(image: AnyArray, name: str, shapes: str = "H×W or H×W×3") -> Array:
    """Convert a display-encoded image to float64 in 0..1.

    Args:
        image: uint8 or uint16, which are divided by their largest code, or floating point in 0..1.
        name: name of the image, for messages.
        shapes: accepted shapes, joined by " or ".

    Returns:
        float64 in 0..1.

    Raises:
        InputError: the shape, the type or a value is not accepted.
    """
    array = _array(image, name, shapes)
    if array.dtype in _CODE_MAX:
        return array.astype(np.float64) / _CODE_MAX[array.dtype]
    result = _finite(array, name)
    low, high = float(result.min()), float(result.max())
    if low < 0 or high > 1:
        raise InputError(
            f"{name} spans {low:g} to {high:g}; floating-point display-encoded images lie in "
            "0 to 1 (or give uint8 or uint16)"
        )
    return result


def radiance(image: AnyArray, name: str, shapes: str = "H×W×3") -> Array:
    """Convert linear light to float64.

    Args:
        image: floating point, 0 or more.
        name: name of the image, for messages.
        shapes: accepted shapes, joined by " or ".

    Returns:
        float64 of 0 or more.

    Raises:
        InputError: the shape, the type or a value is not accepted.
    """
    array = _array(image, name, shapes)
    if array.dtype in _CODE_MAX:
        raise InputError(f"{name} has type {array.dtype}; linear light is accepted as float")
    result = _finite(array, name)
    low = float(result.min())
    if low < 0:
        raise InputError(f"{name} goes down to {low:g}; linear light of 0 or more is accepted")
    return result


def same_shape(test: Array, reference: Array) -> None:
    """Refuse images whose shapes differ.

    Args:
        test: the test image.
        reference: the reference image.

    Raises:
        InputError: the shapes differ.
    """
    if test.shape != reference.shape:
        raise InputError(
            f"test has shape {test.shape} and reference {reference.shape}; "
            "both must have the same shape"
        )


def at_least(image: Array, side: int, metric: str) -> None:
    """Refuse an image that is too small for a metric.

    Args:
        image: the image.
        side: smallest side in pixels.
        metric: name of the metric, for the message.

    Raises:
        InputError: the image is too small.
    """
    height, width = image.shape[:2]
    if min(height, width) < side:
        raise InputError(
            f"the images are {height}×{width} pixels; {metric} needs {side} or more on each side"
        )


def one_of(value: object, accepted: Sequence[str], name: str) -> None:
    """Refuse an option's value that is not known.

    Args:
        value: the value.
        accepted: the known values.
        name: name of the option, for the message.

    Raises:
        InputError: the value is not known.
    """
    if value not in accepted:
        choices = ", ".join(repr(choice) for choice in accepted)
        raise InputError(f"{name} is {value!r}; accepted are {choices}")


def positive(value: float, name: str) -> float:
    """Refuse a number that is not finite and above 0.

    Args:
        value: the number.
        name: name of the option, for the message.

    Returns:
        The number as float.

    Raises:
        InputError: it is not finite and above 0.
    """
    if not np.isfinite(value) or value <= 0:
        raise InputError(f"{name} is {value}; a finite number above 0 is accepted")
    return float(value)


def weighted(image: Array, weights: Sequence[float]) -> Array:
    """Return the weighted sum over the channels.

    Args:
        image: H×W×3, or H×W, which is returned unchanged.
        weights: a weight per channel.

    Returns:
        H×W.
    """
    if image.ndim == 2:
        return image
    total: Array = image @ np.asarray(weights, dtype=np.float64)
    return total


def _array(image: AnyArray, name: str, shapes: str) -> AnyArray:
    array = np.asarray(image)
    dimensions = {"H×W": array.ndim == 2, "H×W×3": array.ndim == 3 and array.shape[-1] == 3}
    if not any(fits for shape, fits in dimensions.items() if shape in shapes.split(" or ")):
        raise InputError(f"{name} has shape {array.shape}; {shapes} is accepted")
    if array.size == 0:
        raise InputError(f"{name} has shape {array.shape}: it holds no pixels")
    if array.dtype not in _CODE_MAX and not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name} has type {array.dtype}; uint8, uint16 and float are accepted")
    return array


def _finite(array: AnyArray, name: str) -> Array:
    result: Array = array.astype(np.float64)
    bad = int(result.size - np.count_nonzero(np.isfinite(result)))
    if bad:
        raise InputError(f"{name} holds {bad} values that are NaN or infinite; give finite ones")
    return result
