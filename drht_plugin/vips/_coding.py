"""How a libvips image encodes its values, and conversion to and from the engine's arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin.colour.spaces import space_of
from drht_plugin.engine.pixels import TRANSFERS
from drht_plugin.errors import DrhtWarning, InputError

Pixels = npt.NDArray[Any]

_ORIENTATION, _PROFILE = "orientation", "icc-profile-data"

_FLOAT_WHITE = {
    "srgb": 255.0,
    "rgb": 255.0,
    "b-w": 255.0,
    "rgb16": 65535.0,
    "grey16": 65535.0,
    "scrgb": 1.0,
    "multiband": 1.0,
}
"""White of float images by libvips' convention, in interpretations that need no conversion."""

_CONVERTED = ("lab", "labq", "labs", "lch", "cmc", "xyz", "yxy", "hsv", "oklab", "oklch")
_FORMATS = ("uchar", "ushort", "float", "double")
_REMEDIES = {
    "cmyk": "convert it first: image.icc_transform('srgb')",
    "fourier": "it has no pixels to be corrected",
}


@dataclass(frozen=True)
class ValueCoding:
    """How an image's values are encoded.

    Attributes:
        dtype: of the engine's arrays.
        white: the value of display code 1.0; 1 if the engine takes the values unchanged.
        alpha: whether the last band is alpha.
        transfer: "srgb" or "linear".
        orientation: as in EXIF, 1 to 8.
        profile: an ICC profile that describes the values; None for sRGB.
    """

    dtype: np.dtype[Any]
    white: float
    alpha: bool
    transfer: str
    orientation: int = 1
    profile: bytes | None = None

    def to_engine(self, pixels: Pixels) -> Pixels:
        """Convert pixels of the image, R×C×bands, to the engine's dtype and range."""
        if self.white != 1:
            return (pixels / self.white).astype(np.float32)
        return pixels.astype(self.dtype, copy=False)

    def from_engine(self, corrected: Pixels, pixels: Pixels) -> Pixels:
        """Convert corrected pixels to the image's encoding.

        Args:
            corrected: R×C×bands, from the engine.
            pixels: R×C×bands of the image before correction, which alpha is copied from.
        """
        if corrected.dtype == pixels.dtype and self.white == 1:
            return corrected
        made = (corrected * corrected.dtype.type(self.white)).astype(pixels.dtype)
        if self.alpha:
            made[..., -1] = pixels[..., -1]
        return made


def coding_of(image: pyvips.Image, transfer: str | None) -> ValueCoding:
    """Return the coding of an image.

    Args:
        image: converted by `as_rgb`.
        transfer: "srgb" or "linear"; None goes by the interpretation.

    Raises:
        InputError: the format, number of bands or transfer is not accepted.

    Warns:
        DrhtWarning: the image's profile cannot be used, so sRGB is assumed.
    """
    coding = _coding_of(image, transfer)
    return replace(coding, orientation=_orientation_of(image), profile=_profile_of(image, coding))


def _orientation_of(image: pyvips.Image) -> int:
    """Return the image's orientation; 1 for an invalid one, as viewers do."""
    found = image.get(_ORIENTATION) if image.get_typeof(_ORIENTATION) else 1
    return found if found in range(1, 9) else 1


def _profile_of(image: pyvips.Image, coding: ValueCoding) -> bytes | None:
    # scRGB is a space of its own: the profile describes the values before conversion.
    if not image.get_typeof(_PROFILE) or image.interpretation == "scrgb":
        return None
    profile = bytes(image.get(_PROFILE))
    try:
        colours = image.bands - coding.alpha
        space_of(profile, colours=colours, linear=coding.transfer == "linear")
    except InputError as error:
        warnings.warn(f"sRGB is assumed for the image: {error}", DrhtWarning, stacklevel=4)
        return None
    return profile


def _coding_of(image: pyvips.Image, transfer: str | None) -> ValueCoding:
    interpretation, kind = str(image.interpretation), str(image.format)
    if transfer is None:
        transfer = "linear" if interpretation == "scrgb" else "srgb"
    if transfer not in TRANSFERS:
        raise InputError(f"transfer is {transfer!r}; expected one of {', '.join(TRANSFERS)}")
    if kind not in _FORMATS:
        raise InputError(
            f"the image's format is {kind}; expected one of {', '.join(_FORMATS)}: cast it, for "
            "example with image.cast('uchar')"
        )
    if not 1 <= image.bands <= 4:
        raise InputError(
            f"the image has {image.bands} bands; expected 1 to 4 (gray, gray + alpha, RGB, "
            "RGB + alpha): take some with image.extract_band(0, n=3)"
        )
    alpha = image.bands in (2, 4)
    if kind in ("uchar", "ushort"):
        dtype = np.dtype(np.uint8 if kind == "uchar" else np.uint16)
        return ValueCoding(dtype, 1.0, alpha, transfer)
    white = 1.0 if transfer == "linear" else _FLOAT_WHITE[interpretation]
    return ValueCoding(np.dtype(np.float32), white, alpha, transfer)


def as_rgb(image: pyvips.Image) -> tuple[pyvips.Image, Callable[[pyvips.Image], pyvips.Image]]:
    """Convert an image to a gray or RGB space, if it is in another one.

    Returns:
        The converted image, and a function that converts a corrected image back.

    Raises:
        InputError: the space is not accepted, such as CMYK.
    """
    if image.coding == "rad":
        return image.rad2float(), lambda corrected: corrected.float2rad()
    interpretation, kind = str(image.interpretation), str(image.format)
    if interpretation in _FLOAT_WHITE:
        return image, lambda corrected: corrected
    if interpretation not in _CONVERTED:
        remedy = _REMEDIES.get(interpretation, "copy it: image.copy(interpretation='srgb')")
        accepted = ", ".join((*_FLOAT_WHITE, *_CONVERTED))
        raise InputError(
            f"the image's interpretation is {interpretation}; expected one of {accepted}: {remedy}"
        )

    def back(corrected: pyvips.Image) -> pyvips.Image:
        returned = corrected.colourspace(interpretation)
        return returned if image.coding != "none" else returned.cast(kind)

    return image.colourspace("scrgb"), back
