"""Pictures in inks (CMYK): converted to sRGB by their profile, in libvips."""

from dataclasses import replace
from typing import Any

import pyvips

from drht_plugin.io.metadata import exif_edit
from drht_plugin.io.metadata.types import Carrier

_FALLBACK = "cmyk"
"""The profile that libvips brings for pictures without one."""


def without_inks(carrier: Carrier) -> Carrier:
    """Return what a CMYK picture's file holds, once its pixels are sRGB."""
    exif, dropped = carrier.metadata.exif, (*carrier.metadata.dropped, "CMYK (became sRGB)")
    if exif:
        try:
            exif = exif_edit.state_srgb(exif)
        except ValueError:
            exif, dropped = None, (*dropped, "EXIF (damaged)")
    metadata = replace(carrier.metadata, icc=None, exif=exif, dropped=dropped)
    return replace(carrier, metadata=metadata)


def is_cmyk(image: Any) -> bool:
    """Return whether a libvips image holds inks."""
    return bool(image.interpretation == "cmyk")


def to_srgb(image: Any) -> Any:
    """Convert a libvips image from inks to sRGB, lazily.

    Args:
        image: CMYK, with or without alpha, uchar or ushort; with its profile, if it has one.

    Returns:
        RGB, with or without alpha, of the same format, without a profile.

    Raises:
        pyvips.Error: libvips cannot use the profile.
    """
    depth = 16 if image.format == "ushort" else 8
    converted = image.icc_transform(
        "srgb", embedded=True, input_profile=_FALLBACK, depth=depth, intent="relative"
    )
    plain = converted.copy()
    if plain.get_typeof("icc-profile-data"):
        plain.remove("icc-profile-data")
    return plain


def from_array(pixels: Any, profile: bytes | None) -> Any:
    """Convert H×W×4 or H×W×5 inks (0 is none) to sRGB, H×W×3 or H×W×4 of the same dtype.

    Raises:
        pyvips.Error: libvips cannot use the profile.
    """
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="cmyk")
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return to_srgb(image).numpy()
