"""AVIF files with gain maps, written and applied by libavif, whose library Pillow's wheel holds.

The structures are those of avif.h 1.4, of the library's binary interface 16.
"""

from __future__ import annotations

import ctypes as c
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

Pixels = npt.NDArray[Any]

MONOCHROME, SUBSAMPLED, FULL = 4, 3, 1
"""Kinds of planes: gray, 4:2:0 and 4:4:4."""


class RWData(c.Structure):
    """Bytes."""

    _fields_ = (("data", c.c_void_p), ("size", c.c_size_t))


class Fraction(c.Structure):
    """A ratio whose numerator is signed."""

    _fields_ = (("n", c.c_int32), ("d", c.c_uint32))


class GainMap(c.Structure):
    """See `avifGainMap`."""

    _fields_ = (
        ("image", c.c_void_p),
        *((name, Fraction * 3) for name in ("least", "most", "gamma", "base_offset", "hdr_offset")),
        ("base_headroom", Fraction),
        ("hdr_headroom", Fraction),
        ("in_base_colours", c.c_int),
        ("icc", RWData),
        ("primaries", c.c_uint16),
        ("transfer", c.c_uint16),
        ("matrix", c.c_uint16),
        ("range", c.c_int),
        ("depth", c.c_uint32),
        ("planes", c.c_uint32),
        ("clli", c.c_uint16 * 2),
    )


class Picture(c.Structure):
    """See `avifImage`."""

    _fields_ = (
        ("width", c.c_uint32),
        ("height", c.c_uint32),
        ("depth", c.c_uint32),
        ("format", c.c_int),
        ("range", c.c_int),
        ("position", c.c_int),
        ("planes", c.c_void_p * 3),
        ("row_bytes", c.c_uint32 * 3),
        ("owns", c.c_int),
        ("alpha", c.c_void_p),
        ("alpha_row_bytes", c.c_uint32),
        ("owns_alpha", c.c_int),
        ("premultiplied", c.c_int),
        ("icc", RWData),
        ("primaries", c.c_uint16),
        ("transfer", c.c_uint16),
        ("matrix", c.c_uint16),
        ("clli", c.c_uint16 * 2),
        ("transforms", c.c_uint32),
        ("pasp", c.c_uint32 * 2),
        ("clap", c.c_uint32 * 8),
        ("irot", c.c_uint8),
        ("imir", c.c_uint8),
        ("exif", RWData),
        ("xmp", RWData),
        ("properties", c.c_void_p),
        ("property_count", c.c_size_t),
        ("gain_map", c.POINTER(GainMap)),
    )


class RGB(c.Structure):
    """See `avifRGBImage`."""

    _fields_ = (
        *((name, c.c_uint32) for name in ("width", "height", "depth")),
        *((name, c.c_int) for name in ("format", "up", "down", "avoid", "ignore_alpha")),
        *((name, c.c_int) for name in ("premultiplied", "floats", "threads")),
        ("pixels", c.c_void_p),
        ("row_bytes", c.c_uint32),
    )


_SPEED, _QUALITY, _QUALITY_OF_MAP = 8, 32, 380  # offsets in avifEncoder
_IMAGE, _CONTENT = 48, 436  # offsets in avifDecoder
_IROT, _IMIR = 4, 8
_COLOUR = 0
_PQ, _WHITE = 16, 203  # cd/m² of white


def library() -> c.CDLL | None:
    """The library; None where Pillow's wheel has none of that interface."""
    places = Path(PIL.__file__).parents[1]
    found = sorted((*places.glob("pillow.libs/libavif-*.so.16*"),))
    if not found:
        return None
    lib = c.CDLL(str(found[0]))
    for name in ("Image", "GainMap", "Encoder", "Decoder"):
        getattr(lib, f"avif{name}Create").restype = c.c_void_p
    return lib


def check(result: int) -> None:
    """Raise what a call of the library reports."""
    if result:
        raise RuntimeError(f"libavif reports {result}")


def picture(lib: c.CDLL, codes: Pixels, planes: int, **more: Any) -> Any:
    """A picture of H×W×3 or H×W×1 codes, of 8 bits or, as uint16, of `depth`."""
    depth = more.pop("depth", 8)
    height, width, channels = codes.shape
    at = lib.avifImageCreate(width, height, depth, planes)
    made = c.cast(at, c.POINTER(Picture))
    for name, value in {"primaries": 2, "transfer": 2, "matrix": 6, "range": 1, **more}.items():
        setattr(made.contents, name, value)
    data = np.ascontiguousarray(codes if channels == 3 else codes.repeat(3, 2))
    rgb = RGB()
    lib.avifRGBImageSetDefaults(c.byref(rgb), made)
    rgb.depth, rgb.format, rgb.ignore_alpha = depth, _COLOUR, 1
    rgb.pixels, rgb.row_bytes = data.ctypes.data, data.strides[0]
    check(lib.avifImageRGBToYUV(made, c.byref(rgb)))
    return made


def turn(made: Any, quarters: int, mirror: int | None) -> None:
    """Say that a picture is to be turned and mirrored to be shown."""
    if quarters:
        made.contents.transforms |= _IROT
        made.contents.irot = quarters
    if mirror is not None:
        made.contents.transforms |= _IMIR
        made.contents.imir = mirror


def write(
    lib: c.CDLL,
    path: Path,
    base: Pixels,
    codes: Pixels,
    values: dict[str, Any],
    *,
    base_more: dict[str, Any] | None = None,
    map_more: dict[str, Any] | None = None,
    planes: int = FULL,
    quarters: int = 0,
    mirror: int | None = None,
) -> None:
    """Write a base and its gain map.

    Args:
        lib: the library.
        path: of the new file.
        base: H×W×3 codes.
        codes: of the map, h×w×1 or h×w×3.
        values: fields of `GainMap`: numbers, or three of them.
        base_more: fields of the base.
        map_more: fields of the map.
        planes: of the map.
        quarters: turns by 90° counterclockwise that viewers make.
        mirror: axis at which they mirror; None for none.
    """
    first = picture(lib, base, FULL, **{"primaries": 1, "transfer": 13, **(base_more or {})})
    second = picture(lib, codes, planes, **(map_more or {}))
    turn(first, quarters, mirror)
    gain = c.cast(lib.avifGainMapCreate(), c.POINTER(GainMap))
    gain.contents.image = c.cast(second, c.c_void_p)
    gain.contents.depth, gain.contents.planes = 8, 3
    for name, value in values.items():
        kind = getattr(gain.contents, name)
        if isinstance(kind, Fraction):
            setattr(gain.contents, name, fraction(value))
        elif isinstance(kind, c.Array):
            triple = value if isinstance(value, tuple) else (value,) * 3
            setattr(gain.contents, name, (Fraction * 3)(*map(fraction, triple)))
        else:
            setattr(gain.contents, name, value)
    first.contents.gain_map = gain
    encoder = lib.avifEncoderCreate()
    for offset, value in ((_SPEED, 9), (_QUALITY, 100), (_QUALITY_OF_MAP, 100)):
        c.c_int.from_address(encoder + offset).value = value
    output = RWData()
    check(lib.avifEncoderWrite(c.c_void_p(encoder), first, c.byref(output)))
    path.write_bytes(c.string_at(output.data, output.size))
    lib.avifRWDataFree(c.byref(output))
    lib.avifEncoderDestroy(c.c_void_p(encoder))
    lib.avifImageDestroy(first)


def shown(lib: c.CDLL, path: Path, headroom: float) -> Pixels:
    """What a screen of a headroom in stops shows of a file, H×W×3 linear sRGB; white is 1."""
    decoder = lib.avifDecoderCreate()
    c.c_uint32.from_address(decoder + _CONTENT).value = 7
    check(lib.avifDecoderSetIOFile(c.c_void_p(decoder), str(path).encode()))
    check(lib.avifDecoderParse(c.c_void_p(decoder)))
    check(lib.avifDecoderNextImage(c.c_void_p(decoder)))
    base = c.POINTER(Picture).from_address(decoder + _IMAGE)
    made = RGB(depth=16, format=_COLOUR)
    call = lib.avifImageApplyGainMap
    call.argtypes = [c.c_void_p, c.c_void_p, c.c_float, c.c_uint16, c.c_uint16, *[c.c_void_p] * 3]
    said = c.create_string_buffer(256)
    check(call(base, base.contents.gain_map, headroom, 1, _PQ, c.byref(made), None, said))
    rows = c.string_at(made.pixels, made.row_bytes * made.height)
    coded = np.frombuffer(rows, np.uint16).reshape(made.height, -1)[:, : 3 * made.width] / 65535
    root = coded.reshape(made.height, made.width, 3) ** (1 / 78.84375)
    light = ((root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    lib.avifRGBImageFreePixels(c.byref(made))
    lib.avifDecoderDestroy(c.c_void_p(decoder))
    return light * 10_000 / _WHITE


def fraction(value: float) -> Fraction:
    """A ratio of a million."""
    return Fraction(round(value * 1_000_000), 1_000_000)
