"""Convert pixels between files and arrays: alpha, half floats, bit depths, orientation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin import orientation as _orientation

Pixels = NDArray[Any]

# Smallest half float. Where alpha is less, colours stay as they are, as dividing could overflow.
_MIN_ALPHA = 2.0**-24


def unpremultiply(pixels: Pixels) -> Pixels:
    """Divide colours by alpha.

    `premultiply` restores the values: exactly for half floats and integers, to one unit in the last
    place for float32. Colours under an alpha of 0 are not changed.

    Args:
        pixels: H×W×C, the last channel alpha.

    Returns:
        H×W×C of the same dtype; float32 for half floats, so that they can be restored.
    """
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    if np.issubdtype(pixels.dtype, np.integer):
        top = np.iinfo(pixels.dtype).max
        scaled = colours * (top / np.maximum(alpha, 1).astype(np.float64))
        divided = np.where(alpha > 0, np.rint(np.minimum(scaled, top)), colours)
        return np.concatenate([divided.astype(pixels.dtype), alpha], axis=-1)
    result = pixels.astype(np.float32)
    divisor = result[..., -1:]
    with np.errstate(all="ignore"):  # infinities are the file's own
        np.divide(result[..., :-1], divisor, out=result[..., :-1], where=divisor >= _MIN_ALPHA)
    return result


def premultiply(pixels: Pixels) -> Pixels:
    """Multiply colours by alpha: the inverse of `unpremultiply`.

    Args:
        pixels: H×W×C, the last channel alpha.

    Returns:
        H×W×C: of the same dtype for integers, float32 for floats.
    """
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    if np.issubdtype(pixels.dtype, np.integer):
        top = np.iinfo(pixels.dtype).max
        multiplied = np.where(alpha > 0, np.rint(colours * (alpha / np.float64(top))), colours)
        return np.concatenate([multiplied.astype(pixels.dtype), alpha], axis=-1)
    result = pixels.astype(np.float32)
    factor = result[..., -1:]
    with np.errstate(all="ignore"):
        np.multiply(result[..., :-1], factor, out=result[..., :-1], where=factor >= _MIN_ALPHA)
    return result


def invert_colours(pixels: Pixels, *, alpha: bool) -> Pixels:
    """Exchange black and white.

    Args:
        pixels: H×W×C; white is 1.0 in floats.
        alpha: whether the last channel is alpha, which stays.

    Returns:
        H×W×C of the same dtype.
    """
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    inverted = pixels.dtype.type(top) - pixels
    if alpha:
        inverted[..., -1] = pixels[..., -1]
    return inverted


def as_half(pixels: Pixels) -> Pixels:
    """Convert to float16; finite values are clipped to ±65504, so that they stay finite."""
    top = np.finfo(np.float16).max
    return np.where(np.isfinite(pixels), np.clip(pixels, -top, top), pixels).astype(np.float16)


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn H×W×C pixels as a viewer would, by an EXIF orientation of 1 to 8; C-contiguous."""
    return np.ascontiguousarray(_orientation.to_upright(pixels, orientation))


def expand_bits(pixels: Pixels, bits: int) -> Pixels:
    """Stretch 10- or 12-bit values, stored in the high bits of uint16, to 0..65535."""
    spread: Pixels = pixels | (pixels >> bits)
    return spread


def reduce_bits(pixels: Pixels, bits: int) -> Pixels:
    """Round uint16 values to `bits` bits, stored in the high bits: the inverse of `expand_bits`."""
    top = (1 << bits) - 1
    rounded = (pixels.astype(np.uint32) * top + 32767) // 65535
    return (rounded << (16 - bits)).astype(np.uint16)
