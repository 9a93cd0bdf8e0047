"""What an image array may be: the contract's shapes and types, checked once, at the boundary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.transfer import LUMA_WEIGHTS
from drht_plugin.errors import InputError
from drht_plugin.orientation import upright_size

Image = npt.NDArray[Any]

LUMA = np.array(LUMA_WEIGHTS, np.float32)
"""Weights of R, G and B in luma, float32."""

DTYPES = ("uint8", "uint16", "float16", "float32")
TRANSFERS = ("srgb", "linear")
_FLOATS = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}
"""Of each float type, an integer of its size, and the bits that infinity and NaN alone have."""

_ACCEPTED = f"expected H×W or H×W×1…4 (gray, gray + alpha, RGB, RGB + alpha) of {', '.join(DTYPES)}"


@dataclass(frozen=True)
class ImageSpec:
    """How an image's values are to be read.

    height, width: its size in pixels; colours: 1 gray or 3 RGB; alpha: index of the alpha
    channel or −1; dtype: one of `DTYPES`; linear: scene-linear rather than display-encoded.
    """

    height: int
    width: int
    colours: int
    alpha: int
    dtype: np.dtype[Any]
    linear: bool

    @property
    def white(self) -> float:
        """The value of display code 1.0."""
        return float(np.iinfo(self.dtype).max) if self.dtype.kind == "u" else 1.0

    @property
    def coarse_codes(self) -> float:
        """Steps from 0 to 1 of codes so wide apart that they show as bands once lifted; else 0."""
        return self.white if self.dtype == np.uint8 and not self.linear else 0.0

    def upright(self, orientation: int) -> ImageSpec:
        """Of the same image, turned upright."""
        height, width = upright_size(self.height, self.width, orientation)
        return replace(self, height=height, width=width)


def as_channels(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows as R×W×C, without a copy where the channels are there already."""
    rows = np.asarray(rows)
    return rows[..., None] if rows.ndim == 2 else rows


def spec_of(image: Any, transfer: str = "srgb") -> ImageSpec:
    """The kind of an array-like with shape and dtype.

    Raises:
        InputError: not an image of the contract, or an unknown transfer.
    """
    if transfer not in TRANSFERS:
        raise InputError(f"transfer is {transfer!r}; expected one of {', '.join(TRANSFERS)}")
    if not hasattr(image, "shape") or not hasattr(image, "dtype"):
        raise InputError(f"the image is a {type(image).__name__}; {_ACCEPTED}")
    try:
        shape, dtype = tuple(image.shape), np.dtype(image.dtype)
    except TypeError as error:
        given = f"{type(image).__name__} of {image.dtype}"
        raise InputError(f"the image is a {given}; {_ACCEPTED} in a numpy array") from error
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= 4):
        raise InputError(f"the image has shape {shape}; {_ACCEPTED}")
    if dtype.name not in DTYPES or not dtype.isnative:
        raise InputError(f"the image has dtype {dtype}; {_ACCEPTED}")
    height, width = shape[:2]
    if height == 0 or width == 0:
        raise InputError(f"the image is empty, shape {shape}; expected at least 1×1 pixels")
    channels = shape[2] if len(shape) == 3 else 1
    return ImageSpec(
        height=height,
        width=width,
        colours=3 if channels >= 3 else 1,
        alpha=channels - 1 if channels in (2, 4) else -1,
        dtype=dtype,
        linear=transfer == "linear",
    )


def require_out(image: Any, out: Any) -> Image:
    """Refuse an array for the result of another shape or dtype than the image, or on top of it.

    Raises:
        InputError: says what was given and what is accepted.
    """
    if not isinstance(out, np.ndarray) or out.shape != image.shape or out.dtype != image.dtype:
        given = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise InputError(f"out is {given}; expected an array of {image.dtype} {image.shape}")
    if not out.flags.writeable:
        raise InputError("out is read-only; expected an array that can be written")
    if isinstance(image, np.ndarray) and np.shares_memory(image, out):
        raise InputError("out shares memory with the image; expected an array of its own")
    return out


def require_finite(rows: Image, first_row: int, *, left: int = 0, step: int = 1) -> None:
    """Refuse NaN and infinity in a window whose first pixel is at `first_row` and `left`.

    rows: R×C or R×C×K, `step` rows apart in the image.

    Raises:
        InputError: names the first bad value and its place.
    """
    from drht_plugin.bridge import statistics
    from drht_plugin.bridge.rows import flat_rows

    if rows.dtype.kind != "f":
        return
    if rows.ndim == 2:
        rows = rows[..., None]
    word, infinity = _FLOATS[rows.dtype.name]
    bits, pitch = flat_rows(rows.view(word))
    bad = np.empty(len(rows), np.uint8)
    statistics.mark_rows_with_bits(bits, pitch, rows[0].size, np.uint32(infinity), bad)
    if bad.any():
        row = int(bad.argmax())
        column, channel = np.argwhere(~np.isfinite(rows[row]))[0]
        raise InputError(
            f"the image holds {rows[row, column, channel]} at row {first_row + step * row}, "
            f"column {left + column}, channel {channel}; expected finite values"
        )
