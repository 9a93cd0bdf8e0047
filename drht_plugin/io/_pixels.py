"""What happens to pixel values and places on their way in and out; numpy only."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin import orientation as _orientation

Pixels = NDArray[Any]

# At or below the smallest half float a pixel counts as having no alpha: its colours are kept as
# they are, for dividing them could overflow.
_NO_ALPHA = 2.0**-24


def straight(pixels: Pixels) -> Pixels:
    """Divide colours by alpha, in H×W×C pixels whose last channel is alpha.

    `associated` gives the same values back: exactly for half floats (which come out as float32,
    so that they can) and for integers, to one unit in the last place for float32. Colours under
    an alpha of 0 stay as they are.
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
        np.divide(result[..., :-1], divisor, out=result[..., :-1], where=divisor >= _NO_ALPHA)
    return result


def associated(pixels: Pixels) -> Pixels:
    """Multiply colours by alpha, in H×W×C pixels whose last channel is alpha: undo `straight`."""
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    if np.issubdtype(pixels.dtype, np.integer):
        top = np.iinfo(pixels.dtype).max
        multiplied = np.where(alpha > 0, np.rint(colours * (alpha / np.float64(top))), colours)
        return np.concatenate([multiplied.astype(pixels.dtype), alpha], axis=-1)
    result = pixels.astype(np.float32)
    factor = result[..., -1:]
    with np.errstate(all="ignore"):
        np.multiply(result[..., :-1], factor, out=result[..., :-1], where=factor >= _NO_ALPHA)
    return result


def as_half(pixels: Pixels) -> Pixels:
    """Return float16 values; what is finite stays finite, at most ±65504."""
    top = np.finfo(np.float16).max
    return np.where(np.isfinite(pixels), np.clip(pixels, -top, top), pixels).astype(np.float16)


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn H×W×C pixels the way that a viewer would, by an EXIF orientation of 1 to 8."""
    return np.ascontiguousarray(_orientation.to_upright(pixels, orientation))


def widened(pixels: Pixels, bits: int) -> Pixels:
    """Spread values of 10 or 12 bits, held in the high bits of uint16, over all of 0..65535."""
    spread: Pixels = pixels | (pixels >> bits)
    return spread


def narrowed(pixels: Pixels, bits: int) -> Pixels:
    """Round uint16 values to so many bits, held in the high bits: undo `widened`."""
    top = (1 << bits) - 1
    rounded = (pixels.astype(np.uint32) * top + 32767) // 65535
    return (rounded << (16 - bits)).astype(np.uint16)
