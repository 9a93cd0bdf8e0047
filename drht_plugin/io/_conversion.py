"""Decide how a picture becomes one that the target's format, or the caller, asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from drht_plugin.bridge.transfer import LUMA_WEIGHTS, srgb_decode
from drht_plugin.colour import icc
from drht_plugin.colour.primaries import to_d50, to_srgb
from drht_plugin.colour.spaces import SRGB, ColourSpace, space_of
from drht_plugin.errors import InputError
from drht_plugin.io._convert_rows import Light, Steps, to_display, to_linear_srgb, widened
from drht_plugin.io._formats import Format, Transfer
from drht_plugin.io._picture import PictureLike, name_of, written_format
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Shape
from drht_plugin.io.metadata.colour import stated_profile
from drht_plugin.io.metadata.tiff import TiffCoding
from drht_plugin.io.metadata.types import Carrier, Metadata

Bits = Literal[8, 16, "half", "float"]
"""Depths of a target's pixels."""

_DTYPES: dict[Bits, str] = {8: "uint8", 16: "uint16", "half": "float16", "float": "float32"}
_NEAREST = {
    "uint8": ("uint8", "uint16", "float16", "float32"),
    "uint16": ("uint16", "float32", "float16", "uint8"),
    "float16": ("float16", "float32", "uint16", "uint8"),
    "float32": ("float32", "float16", "uint16", "uint8"),
}
"""Pixel types by how well they hold those of a source; the best first."""

_NAMES = {"uint8": "8 bits", "uint16": "16 bits", "float16": "half", "float32": "float"}
_AVIF_BITS = 12
_LOSSY_TIFF = ("jpeg",)

GROUNDS = {"white": "#ffffff", "black": "#000000", "gray": "#808080", "grey": "#808080"}
"""Colours that have names, as sRGB codes."""


@dataclass(frozen=True)
class Form:
    """What a new file holds; a `PictureLike`."""

    shape: Shape
    dtype: np.dtype[Any]
    transfer: Transfer
    carrier: Carrier


@dataclass(frozen=True)
class Conversion:
    """How the rows of a corrected picture become those of its file.

    Attributes:
        given: dtype of the rows that are converted: the source's, or a finer one, so that what is
            computed is rounded once.
        form: what the new file holds.
        steps: what is done to rows; None for nothing.
        said: what is converted, in plain words.
    """

    given: np.dtype[Any]
    form: Form
    steps: Steps | None
    said: tuple[str, ...]

    def widen(self, rows: Pixels) -> Pixels:
        """Convert rows of the source, R×W×C, to the dtype `given`; alpha and white stay."""
        return widened(rows, self.given)


def conversion_to(
    path: Path,
    like: PictureLike,
    *,
    transfer: str | None = None,
    bits: Bits | None = None,
    background: str | None = None,
    to_rgb: bool = False,
) -> Conversion:
    """Decide how a picture is stored in a file.

    The format that the path's suffix names decides first: what it holds stays as it is. Display
    codes become scene-linear light of sRGB's primaries in OpenEXR, Radiance and PFM; linear light
    gets sRGB's curve in the others, and is clipped to 0..1 where they hold whole numbers.

    Args:
        path: of the new file.
        like: the source.
        transfer: what the source's values are, where that is not what its format says.
        bits: depth of the new file's pixels; None takes the source's, or the nearest to it that the
            format holds.
        background: colour that transparent pixels are laid over where the format holds no alpha:
            "white" (the default), "black", "gray", or sRGB codes as "#rrggbb".
        to_rgb: whether gray becomes RGB where the format holds both.

    Raises:
        InputError: the suffix names no format that is written, the format does not hold `bits`, or
            an argument is none of the above.
    """
    row = written_format(path)
    ground = parse_ground(background or "white")
    if bits is not None and bits not in get_args(Bits):
        raise InputError(f"bits is {bits!r}; expected one of 8, 16, 'half' and 'float'")
    actual = transfer or like.transfer
    changes = like.transfer != row.transfer and actual != row.transfer
    dtype = np.dtype(_dtype_for(path, row, like.dtype.name, bits))
    carrier, depth = _coded(like, row, dtype)
    given = _given(like.dtype, dtype, changes=changes)
    channels = _channels_for(row, like.shape[2])
    if to_rgb and channels < 3:
        channels += 2
    space = _space(carrier.metadata, like.shape[2])
    light, metadata = None, carrier.metadata
    if changes:
        light, metadata = _light(row, metadata, space)
    laid = None
    if like.shape[2] in (2, 4) and channels in (1, 3):
        laid = _ground_in(ground, like.shape[2] - 1, space, linear=actual == "linear")
    to_rgb = channels > 2 > like.shape[2] - (like.shape[2] in (2, 4))
    if to_rgb:
        metadata = _rgb_metadata(metadata)
    coarser = _depth(dtype, depth) < _depth(like.dtype, like.carrier.bits)
    steps = Steps(
        ground=laid,
        light=light,
        to_rgb=to_rgb,
        dtype=dtype,
        bits=depth,
        dither=dtype.kind == "u" and (coarser or light is not None),
        least=0.0 if row.name == "hdr" else None,
    )
    said = _said(like, steps, changes, background or "white")
    form = Form(
        (*like.shape[:2], channels), dtype, row.transfer, replace(carrier, metadata=metadata)
    )
    same = not said and given == dtype
    return Conversion(given, form, None if same else steps, said)


def parse_ground(text: str) -> tuple[float, ...]:
    """Return a colour's sRGB codes, in 0..1.

    Args:
        text: a name of `GROUNDS`, or "#rrggbb".

    Raises:
        InputError: it is neither.
    """
    code = GROUNDS.get(text.lower(), text)
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
        names = ", ".join(name for name in GROUNDS if name != "grey")
        raise InputError(f"background is {text!r}; expected {names} or a colour like #8090a0")
    return tuple(int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))


def _dtype_for(path: Path, row: Format, source: str, bits: Bits | None) -> str:
    if bits is None:
        return next(name for name in _NEAREST[source] if name in row.dtypes)
    if _DTYPES[bits] not in row.dtypes:
        held = ", ".join(str(key) for key, name in _DTYPES.items() if name in row.dtypes)
        raise InputError(f"{name_of(path)}: {row.label} does not hold {bits} bits; it holds {held}")
    return _DTYPES[bits]


def _coded(like: PictureLike, row: Format, dtype: np.dtype[Any]) -> tuple[Carrier, int]:
    """Return how the new file is coded, and the bits of its whole numbers."""
    carrier, depth = like.carrier, 8 * dtype.itemsize
    if row.name == "avif" and dtype == np.uint16 and carrier.bits <= 8:
        carrier, depth = replace(carrier, bits=_AVIF_BITS), _AVIF_BITS
    coding = carrier.coding
    if dtype != like.dtype and carrier.format == row.name:
        if isinstance(coding, TiffCoding):
            exact = "zip" if coding.compression in _LOSSY_TIFF else coding.compression
            carrier = replace(carrier, coding=replace(coding, compression=exact))
        elif row.name == "exr":
            from drht_plugin.io._oiio_linear import with_dtype

            carrier = replace(carrier, coding=with_dtype(coding, dtype))
    return carrier, depth


def _depth(dtype: np.dtype[Any], bits: int) -> int:
    """Return how fine pixels are, to be compared: bits of whole numbers, more for floats."""
    if dtype.kind == "f":
        return 16 + dtype.itemsize
    return (bits or 16) if dtype == np.uint16 else 8


def _given(source: np.dtype[Any], target: np.dtype[Any], *, changes: bool) -> np.dtype[Any]:
    if source == target and not changes:
        return source
    whole = source.kind == "u" and target.kind == "u"
    return np.dtype(np.uint16 if whole and not changes else np.float32)


def _channels_for(row: Format, channels: int) -> int:
    """Return the number of channels that is nearest to the source's among those that are held."""
    nearest = {1: (1, 3), 2: (2, 4, 1, 3), 3: (3,), 4: (4, 3)}[channels]
    return next(each for each in nearest if each in row.channels)


def _space(metadata: Metadata, channels: int) -> ColourSpace:
    """Return the space of display codes; sRGB where what is stated cannot be used."""
    colours = 3 if channels > 2 else 1
    try:
        return space_of(stated_profile(metadata, colours=colours), colours=colours)
    except InputError:
        return SRGB


def _light(row: Format, metadata: Metadata, space: ColourSpace) -> tuple[Light, Metadata]:
    """Return what changes the transfer, and what the new file states of its colours."""
    plain = replace(metadata, icc=None, cicp=None, gamma=None, chromaticities=None, factors=None)
    if row.transfer == "linear":
        return to_linear_srgb(space), plain
    places = metadata.chromaticities
    if places is not None and "profile" in row.colours:
        return to_display(None), replace(plain, chromaticities=places)
    return to_display(None if places is None else to_srgb(to_d50(places))), plain


def _ground_in(
    ground: tuple[float, ...], colours: int, space: ColourSpace, *, linear: bool
) -> tuple[float, ...]:
    """Return a ground's values in the source's own colours, one for each channel."""
    light = srgb_decode(np.array(ground))
    if colours == 1:
        light = np.full(3, light @ np.array(LUMA_WEIGHTS))
    if linear:
        return tuple(light[:colours].tolist())
    codes = space.encode(space.from_srgb(light[None], light[None, :colours]).clip(0, 1))
    return tuple(codes[0].tolist())


def _rgb_metadata(metadata: Metadata) -> Metadata:
    """Return what a gray picture's metadata are once it is RGB of the same codes."""
    if metadata.icc is None:
        return metadata
    try:
        return replace(metadata, icc=icc.rgb_of_gray(metadata.icc))
    except InputError:
        return replace(metadata, icc=None)


def _said(like: PictureLike, steps: Steps, changes: bool, background: str) -> tuple[str, ...]:
    parts = []
    names = [
        f"{bits} bits" if dtype == np.uint16 else _NAMES[dtype.name]
        for dtype, bits in ((like.dtype, like.carrier.bits or 16), (steps.dtype, steps.bits))
    ]
    deep = steps.dtype == np.uint16 and steps.bits == 16
    if names[0] != names[1] and not (like.dtype == np.uint16 and deep):
        parts.append(f"{names[0]} to {names[1]}" + (", dithered" if steps.dither else ""))
    if changes:
        display = "linear light to sRGB's curve"
        linear = "display codes to linear light"
        parts.append(display if like.transfer == "linear" else linear)
    if steps.ground is not None:
        parts.append(f"alpha laid over {background}")
    if steps.to_rgb:
        parts.append("gray to RGB")
    return tuple(parts)
