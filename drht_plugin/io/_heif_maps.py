"""Read the gain maps that HEIC and AVIF files have beside their picture."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pyvips

from drht_plugin.errors import DependencyError
from drht_plugin.extras import import_extra
from drht_plugin.forks import require_own_process
from drht_plugin.io import _vips
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._libheif import HeicReader
from drht_plugin.io._pixels import Pixels, expand_bits
from drht_plugin.io._rows import Shape
from drht_plugin.io.metadata import apple_gain_map, tone_map
from drht_plugin.io.metadata.gain_map import MOST_PIXELS, GainMap, why_unusable
from drht_plugin.io.metadata.heif_items import Items, items_of
from drht_plugin.io.metadata.ifd import Buffer

Read = GainMap | str | None
"""A map; or why it cannot be used, in plain words; or None where there is none."""


def read_gain_map(buffer: Buffer, shape: Shape, exif: bytes | None) -> tuple[Read, tuple[str, ...]]:
    """Read the map by ISO 21496-1 or, where there is none that can be used, Adobe's or Apple's.

    Args:
        buffer: the file's bytes.
        shape: H×W×C of the picture, upright.
        exif: its EXIF block.

    Returns:
        The map, upright, see `Read`; and others that should count, and cannot be used.
    """
    items = items_of(buffer)
    steps: dict[str, Callable[[], Read]] = {
        "by ISO 21496-1": lambda: _by_iso(items),
        "by Adobe": lambda: _by_adobe(items),
        "by Apple": lambda: _by_apple(items, buffer, shape, exif),
    }
    unusable: dict[str, str] = {}
    for name, step in steps.items():
        found = _attempted(step)
        if isinstance(found, GainMap):
            return found, tuple(f"gain map {each} ({why})" for each, why in unusable.items())
        if found is not None:
            unusable[name] = found
    return next(iter(unusable.values()), "of a kind that is not read"), ()


def _attempted(step: Callable[[], Read]) -> Read:
    try:
        return step()
    except (CodecError, ValueError, struct.error):
        return "damaged"
    except UnsupportedError:
        return "of an unknown kind"
    except DependencyError:
        return "of HEIC, without pillow-heif"


def _by_iso(items: Items) -> Read:
    try:
        found = tone_map.find(items)
    except ValueError as error:
        return why_unusable(error)
    if found is None:
        return "of another picture" if tone_map.is_for_others(items) else None
    return GainMap(_codes(items, found.item), found.values, found.colours)


def _by_adobe(items: Items) -> Read:
    item = tone_map.auxiliary(items, tone_map.ADOBE_URN)
    if item is None:
        return None
    try:
        values = tone_map.values_in_xmp(items, item)
    except ValueError as error:
        return why_unusable(error)
    return GainMap(_codes(items, item), values)


def _by_apple(items: Items, buffer: Buffer, shape: Shape, exif: bytes | None) -> Read:
    item = tone_map.auxiliary(items, apple_gain_map.URN)
    if item is None:
        return None
    codes = _codes(items, item)
    (height, width, bands), (rows, columns, _) = codes.shape, shape
    if bands != 1:
        return "of an unknown kind"
    if abs(width * rows - height * columns) > max(width, height, rows, columns):
        return "of another shape than the picture"
    stops = apple_gain_map.headroom(bytes(buffer[:]), exif)
    if stops is None:
        return "without its values"
    eight = (codes >> 8).astype(np.uint8) if codes.dtype == np.uint16 else codes
    return apple_gain_map.as_gain_map(eight, stops) if stops > 0 else "without any gain"


def _codes(items: Items, item: int) -> Pixels:
    """Return the codes of a map, upright, h×w×1 or h×w×3, in all of the range of their dtype.

    Raises:
        CodecError, ValueError, struct.error: it is damaged.
        UnsupportedError: it is of an unknown kind.
        DependencyError: nothing decodes it.
    """
    stored = tone_map.encoded(items, item)
    codes = (_by_libvips if stored.kind == "avif" else _by_any)(stored.file)
    if stored.gray:
        codes = codes[..., :1]
    return _widened(codes) if stored.limited else codes


def _widened(codes: Pixels) -> Pixels:
    """Return codes of video's range, 16..235 of 8 bits, in all of the range of their dtype."""
    step = (np.iinfo(codes.dtype).max + 1) / 256
    share = (codes.astype(np.float32) - 16 * step) / (219 * step)
    return np.rint(share.clip(0, 1) * np.iinfo(codes.dtype).max).astype(codes.dtype)


def _by_any(file: bytes) -> Pixels:
    """Decode with pillow-heif or, where that is missing, with libvips."""
    try:
        return _by_pillow_heif(file)
    except DependencyError as missing:
        try:
            return _by_libvips(file)
        except (CodecError, UnsupportedError):
            raise missing from None


def _by_pillow_heif(file: bytes) -> Pixels:
    package = import_extra("pillow_heif", "heic", "HEIC files")
    source = HeicReader(io.BytesIO(file), package)
    height, width, bands = source.shape
    _require_map(width, height, bands)
    return _whole(source.read(0, height, 1), source.bits)


def _by_libvips(file: bytes) -> Pixels:
    require_own_process("libvips")
    try:
        image = pyvips.Image.heifload_buffer(file, fail_on="error")
        _require_map(image.width, image.height, image.bands)
        codes = np.asarray(image.numpy()).reshape(image.height, image.width, image.bands)
    except pyvips.Error as error:
        raise _vips.undecoded("gain map's") from error
    return _whole(codes, _vips.heif_bits(image))


def _require_map(width: int, height: int, bands: int) -> None:
    if bands not in (1, 3) or width * height > MOST_PIXELS:
        raise UnsupportedError("is no gain map")


def _whole(codes: Pixels, bits: int) -> Pixels:
    """Return codes of so many bits in all of the range of their dtype."""
    return expand_bits(codes, bits) if codes.dtype == np.uint16 else codes
