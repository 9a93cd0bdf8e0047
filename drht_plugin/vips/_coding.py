"""How a libvips image encodes its values, and conversion to and from the engine's arrays."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.engine.pixels import TRANSFERS
from drht_plugin.errors import DrhtWarning, InputError
from drht_plugin.io import FileStatement, stated_profile, statement_of, with_profile
from drht_plugin.io.metadata.types import Metadata

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
        profile: an ICC profile or code points that describe the values; None for sRGB.
    """

    dtype: np.dtype[Any]
    white: float
    alpha: bool
    transfer: str
    orientation: int = 1
    profile: Profile | None = None

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


def _statement_of(image: pyvips.Image) -> FileStatement:
    """Return what the image's file states, if the image has just been opened from one."""
    name = image.filename or ""
    return statement_of(Path(name)) if os.path.isfile(name) else FileStatement(Metadata())


def with_stated_profile(image: pyvips.Image) -> pyvips.Image:
    """Attach a profile of the colours that the image's file states without one, if any.

    libvips knows profiles only, so that a file written from the image would lose its colours.

    Args:
        image: any image.

    Returns:
        The image, or a copy with the profile.
    """
    stated = _statement_of(image).metadata
    if image.get_typeof(_PROFILE):
        stated = replace(stated, icc=bytes(image.get(_PROFILE)))
    colours = 3 if image.bands > 2 else 1
    profile = with_profile(stated, colours=colours, keeps_points=False).icc
    if profile is None or profile == stated.icc:
        return image
    copy = image.copy()
    copy.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
    return copy


def _orientation_of(image: pyvips.Image) -> int:
    """Return the image's orientation; 1 for an invalid one, as viewers do."""
    found = image.get(_ORIENTATION) if image.get_typeof(_ORIENTATION) else 1
    return found if found in range(1, 9) else 1


def _profile_of(image: pyvips.Image, coding: ValueCoding) -> Profile | None:
    # scRGB is a space of its own: the profile describes the values before conversion.
    if image.interpretation == "scrgb":
        return None
    statement = _statement_of(image)
    if statement.misread:
        raise InputError(
            f"the image's file holds {statement.misread}, which libvips reads wrong; expected one "
            "that it reads right: correct the file itself with drht_plugin.correct_file"
        )
    stated = statement.metadata
    if image.get_typeof(_PROFILE):
        stated = replace(stated, icc=bytes(image.get(_PROFILE)))
    colours = image.bands - coding.alpha
    try:
        profile = stated_profile(stated, colours=colours)
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
