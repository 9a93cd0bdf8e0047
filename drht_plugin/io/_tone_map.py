"""Read the gain maps by ISO 21496-1 that HEIC and AVIF files have beside their picture."""

from __future__ import annotations

import io

import numpy as np
import pyvips

from drht_plugin.errors import DependencyError
from drht_plugin.extras import import_extra
from drht_plugin.forks import require_own_process
from drht_plugin.io import _vips
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._libheif import WITHOUT_DECODER, HeicReader
from drht_plugin.io._pixels import Pixels, expand_bits
from drht_plugin.io.metadata import tone_map
from drht_plugin.io.metadata.gain_map import MOST_PIXELS, GainMap, why_unusable
from drht_plugin.io.metadata.heif_items import items_of
from drht_plugin.io.metadata.ifd import Buffer


def read_gain_map(buffer: Buffer) -> GainMap | str | None:
    """Read the map of the item `tmap` of a HEIC or AVIF file.

    Args:
        buffer: the file's bytes.

    Returns:
        The map, upright; or why it cannot be used, in plain words; or None where there is none.

    Raises:
        ValueError, struct.error: the file's structure is damaged.
    """
    items = items_of(buffer)
    try:
        found = tone_map.find(items)
    except ValueError as error:
        return why_unusable(error)
    if found is None:
        return None
    stored = tone_map.encoded(items, found.item)
    try:
        codes = (_by_libvips if stored.kind == "avif" else _by_any)(stored.file)
    except CodecError:
        return "damaged"
    except UnsupportedError:
        return "of an unknown kind"
    except DependencyError:
        return WITHOUT_DECODER
    if stored.gray:
        codes = codes[..., :1]
    if stored.limited:
        codes = _widened(codes)
    return GainMap(codes, found.values, found.colours)


def _require_map(width: int, height: int, bands: int) -> None:
    if bands not in (1, 3) or width * height > MOST_PIXELS:
        raise UnsupportedError("is no gain map")


def _widened(codes: Pixels) -> Pixels:
    """Return codes of video's range, 16..235 of 8 bits, in all of the range of their dtype."""
    step = (np.iinfo(codes.dtype).max + 1) / 256
    share = (codes.astype(np.float32) - 16 * step) / (219 * step)
    return np.rint(share.clip(0, 1) * np.iinfo(codes.dtype).max).astype(codes.dtype)


def _by_libvips(file: bytes) -> Pixels:
    require_own_process("libvips")
    try:
        image = pyvips.Image.heifload_buffer(file, fail_on="error")
        _require_map(image.width, image.height, image.bands)
        codes = np.asarray(image.numpy()).reshape(image.height, image.width, image.bands)
    except pyvips.Error as error:
        raise _vips.codec_error(error) from error
    return _whole(codes, _vips.heif_bits(image))


def _by_any(file: bytes) -> Pixels:
    """Decode with pillow-heif or, where that is missing, with libvips."""
    try:
        return _by_pillow_heif(file)
    except DependencyError as missing:
        try:
            return _by_libvips(file)
        except UnsupportedError:
            raise missing from None


def _by_pillow_heif(file: bytes) -> Pixels:
    package = import_extra("pillow_heif", "heic", "HEIC files")
    source = HeicReader(io.BytesIO(file), package)
    height, width, bands = source.shape
    _require_map(width, height, bands)
    return _whole(source.read(0, height, 1), source.bits)


def _whole(codes: Pixels, bits: int) -> Pixels:
    """Return codes of the range of their dtype."""
    return expand_bits(codes, bits) if codes.dtype == np.uint16 else codes
