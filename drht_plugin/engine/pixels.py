"""Image arrays: the accepted shapes and dtypes, checked once at the boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.arguments import require_choice, whole_number
from drht_plugin.bridge.transfer import LUMA_WEIGHTS
from drht_plugin.engine.kernels import SurveyKernels, numba_kernels
from drht_plugin.errors import InputError
from drht_plugin.orientation import upright_size

Image = npt.NDArray[Any]

LUMA = np.array(LUMA_WEIGHTS, np.float32)
"""Weights of R, G and B in luma, float32; see `bridge.transfer.LUMA_WEIGHTS`."""

DTYPES = ("uint8", "uint16", "float16", "float32")
"""Accepted dtypes of images."""

TRANSFERS = ("srgb", "linear")
"""Accepted values of `transfer`."""

_FLOATS = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}
"""Unsigned integer of each float type's size, and the bits that only infinity and NaN have all
of."""

_ACCEPTED = f"expected H×W or H×W×1…4 (gray, gray + alpha, RGB, RGB + alpha) of {', '.join(DTYPES)}"


@dataclass(frozen=True)
class ImageSpec:
    """Size, channels and values of an image.

    Attributes:
        height: in pixels.
        width: in pixels.
        colours: 1 for gray or 3 for RGB.
        alpha: index of the alpha channel, or −1.
        dtype: one of `DTYPES`.
        linear: whether values are scene-linear rather than display-encoded.
        steps: quantisation steps from 0 to 1 of display codes that were stored more coarsely than
            the dtype is; None where they were not.
    """

    height: int
    width: int
    colours: int
    alpha: int
    dtype: np.dtype[Any]
    linear: bool
    steps: float | None = None

    @property
    def white(self) -> float:
        """Value of display code 1.0: the integer's maximum, or 1.0 for floats."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind == "u" else 1.0

    @property
    def coarse_codes(self) -> float:
        """Quantisation steps from 0 to 1 of codes that band once lifted; 0 for finer codes."""
        if self.steps is not None:
            return self.steps
        return self.white if self.dtype == np.uint8 and not self.linear else 0.0

    def widened(self, dtype: np.dtype[Any]) -> ImageSpec:
        """Return the spec of the same image in a dtype that holds its values exactly."""
        return self if dtype == self.dtype else replace(self, dtype=dtype, steps=self.coarse_codes)

    def upright(self, orientation: int) -> ImageSpec:
        """Return the spec of the image turned upright.

        Args:
            orientation: how the image is stored, 1 to 8 as in EXIF.
        """
        height, width = upright_size(self.height, self.width, orientation)
        return replace(self, height=height, width=width)


def as_channels(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows as R×W×C, without a copy of numpy arrays.

    Args:
        rows: R×W or R×W×C.
    """
    rows = plain_array(rows)
    return rows[..., None] if rows.ndim == 2 else rows


def plain_array(pixels: Any) -> npt.NDArray[Any]:
    """Return pixels as a numpy array, without a copy where they are one.

    Args:
        pixels: anything that numpy takes for an array.

    Raises:
        InputError: some are masked. What lies below a mask would be corrected as if it were there.
    """
    if isinstance(pixels, np.ma.MaskedArray) and np.ma.is_masked(pixels):
        raise InputError("the image has masked pixels; expected none, as image.filled(0) has")
    return np.asarray(pixels)


def spec_of(image: Any, transfer: str = "srgb") -> ImageSpec:
    """Return the spec of an array-like that has shape and dtype.

    Args:
        image: H×W or H×W×C with C = 1…4, of one of `DTYPES`.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones.

    Raises:
        InputError: an image or transfer that is not accepted.
    """
    require_choice("transfer", transfer, TRANSFERS)
    if not hasattr(image, "shape") or not hasattr(image, "dtype"):
        raise InputError(f"the image is a {type(image).__name__}; {_ACCEPTED}")
    try:
        shape, dtype = tuple(image.shape), np.dtype(image.dtype)
    except TypeError as error:
        given = f"{type(image).__name__} of {image.dtype}"
        raise InputError(f"the image is a {given}; {_ACCEPTED} in a numpy array") from error
    sides = [whole_number(side) for side in shape]
    known = [side for side in sides if side is not None and side >= 0]
    if len(known) not in (2, 3) or known != sides or (len(known) == 3 and not 1 <= known[2] <= 4):
        raise InputError(f"the image has shape {shape}; {_ACCEPTED}")
    if dtype.name not in DTYPES or not dtype.isnative:
        raise InputError(f"the image has dtype {dtype}; {_ACCEPTED}")
    height, width = known[:2]
    if height == 0 or width == 0:
        raise InputError(f"the image is empty, shape {shape}; expected at least 1×1 pixels")
    channels = known[2] if len(known) == 3 else 1
    return ImageSpec(
        height=height,
        width=width,
        colours=3 if channels >= 3 else 1,
        alpha=channels - 1 if channels in (2, 4) else -1,
        dtype=dtype,
        linear=transfer == "linear",
    )


def require_out(image: Any, out: Any) -> Image:
    """Refuse an output array that does not match the image or shares its memory.

    Args:
        image: array-like with shape and dtype.
        out: any object.

    Returns:
        The given array.

    Raises:
        InputError: says what was given and what is accepted.
    """
    wanted = (tuple(image.shape), np.dtype(image.dtype))
    if not isinstance(out, np.ndarray) or (out.shape, out.dtype) != wanted:
        given = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"out is {given}; expected an array of {image.dtype} {image.shape}")
    if not out.flags.writeable:
        raise InputError("out is read-only; expected an array that can be written")
    if overlaps_itself(out):
        raise InputError("out has pixels that share memory; expected memory for each of them")
    if isinstance(image, np.ndarray) and np.shares_memory(image, out):
        raise InputError("out shares memory with the image; expected an array with its own memory")
    return out


def overlaps_itself(array: Image) -> bool:
    """Return whether an array is broadcast, so that several of its pixels are the same memory."""
    sides = zip(array.shape, array.strides, strict=True)
    return any(count > 1 and stride == 0 for count, stride in sides)


def prepare_out(image: Any, out: Image | None) -> Image:
    """Return an array for a result: a new one, or `out` after a check.

    Args:
        image: array-like with shape and dtype.
        out: see `require_out`; None makes a new array.
    """
    return np.empty(image.shape, image.dtype) if out is None else require_out(image, out)


def require_finite(
    rows: Image,
    first_row: int,
    *,
    left: int = 0,
    step: int = 1,
    kernels: SurveyKernels | None = None,
) -> None:
    """Refuse NaN and infinity in a window of an image.

    Args:
        rows: R×C or R×C×K, of any dtype; whole numbers pass.
        first_row: row of the image that the window starts at.
        left: column of the image that the window starts at.
        step: distance between the window's rows in the image.
        kernels: what looks at the values; numba's by default.

    Raises:
        InputError: names the first such value and its place.
    """
    from drht_plugin.bridge.rows import flat_rows

    if rows.dtype.kind != "f":
        return
    if rows.ndim == 2:
        rows = rows[..., None]
    word, infinity = _FLOATS[rows.dtype.name]
    bits, pitch = flat_rows(rows.view(word))
    bad = np.empty(len(rows), np.uint8)
    kernels = kernels or numba_kernels()
    kernels.mark_rows_with_bits(bits, pitch, rows[0].size, np.uint32(infinity), bad)
    if bad.any():
        row = int(bad.argmax())
        column, channel = np.argwhere(~np.isfinite(rows[row]))[0]
        raise InputError(
            f"the image holds {rows[row, column, channel]} at row {first_row + step * row}, "
            f"column {left + column}, channel {channel}; expected finite values"
        )
