"""The quality at which a lossy picture keeps about its size, where its file does not state one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from drht_plugin.colour import icc
from drht_plugin.errors import InputError
from drht_plugin.io._conversion import Conversion
from drht_plugin.io._convert_rows import Clipped
from drht_plugin.io._errors import CodecError
from drht_plugin.io._formats import Format
from drht_plugin.io._picture import PictureLike, Sampled, backend_of
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Shape
from drht_plugin.io.metadata.types import Carrier, Metadata
from drht_plugin.storage import scratch_folder, temporary_folder

_LOSSY = ("jpeg", "webp", "avif", "jxl")
_LEAST, _MOST = 10, 98
_BAND = 64
"""Rows of a band of the sample: what blocks of all encoders fit into."""

_SAMPLE_PIXELS = 1 << 18
_NEAR = 0.04
"""How much the size may differ, as a share."""


def size_keeping_quality(
    like: PictureLike, row: Format, conversion: Conversion | None
) -> int | None:
    """Estimate the quality at which a format stores a source in about its own size.

    Bands of the source's pixels are encoded, at qualities that close in on the share that they have
    of its file. What is computed from the source later may need more or less room at this quality.

    Args:
        like: the source.
        row: the new file's format.
        conversion: how rows of the source become those of the new file; None for as they are.

    Returns:
        10 to 98; None where the source is lossless or its size is not known, where JPEG is made of
        JPEG, whose quality is known, for formats that are always lossless, and where nothing can be
        tried.
    """
    carrier = like.carrier
    if carrier.lossless or not carrier.pixel_bytes or row.name not in _LOSSY:
        return None
    if row.name == "jxl" and not holds_lossy(carrier.metadata.icc):
        return None
    if carrier.format == row.name == "jpeg" or not isinstance(like, Sampled):
        return None
    sample = _sample(like)
    share = sample.shape[0] / like.shape[0]
    if conversion:
        sample = conversion.widen(sample)
        if conversion.steps:
            sample = conversion.steps.apply(sample, 0, Clipped())
        carrier = conversion.form.carrier
    bare = replace(carrier, metadata=Metadata())
    try:
        with scratch_folder(temporary_folder()) as scratch:
            encode = _encoder(scratch, row, sample, bare)
            return _search(encode, carrier.pixel_bytes * share)
    except (OSError, CodecError):
        return None  # where nothing can be stored, the picture itself says why


def holds_lossy(profile: bytes | None) -> bool:
    """Return whether lossy JPEG XL keeps the colours of a profile.

    Its encoder states them anew, which it can where they are those of primaries and a curve.

    Args:
        profile: of the picture; None for sRGB.
    """
    if profile is None:
        return True
    try:
        return icc.parse(profile).matrix is not None
    except InputError:
        return False


def _sample(like: Sampled) -> Pixels:
    """Return bands of a picture's rows, evenly spread; all rows of a small one."""
    height, width, _ = like.shape
    count = max(_SAMPLE_PIXELS // (_BAND * width), 2)
    if height <= count * _BAND:
        return np.ascontiguousarray(like.rows(0, height))
    tops = [round(at) for at in np.linspace(0, height - _BAND, count)]
    return np.concatenate([like.rows(top, top + _BAND) for top in tops])


def _encoder(folder: Path, row: Format, sample: Pixels, carrier: Carrier) -> Callable[[int], float]:
    """Return a function from a quality to the bytes that a sample takes."""
    backend = backend_of(row)

    def size(quality: int) -> float:
        path = folder / f"{quality}{row.suffixes[0]}"
        if row.whole:
            backend.write(path, row.name, sample, carrier, quality)
        else:
            height, width, channels = sample.shape
            shape: Shape = (height, width, channels)
            writer = backend.writer(path, row.name, shape, sample.dtype, carrier, quality)
            try:
                writer.write(sample)
                writer.finish()
            finally:
                writer.close()
        return float(path.stat().st_size)

    return size


def _search(size: Callable[[int], float], wanted: float) -> int:
    """Return the quality whose size is nearest to what is wanted; sizes rise with quality."""
    least, most = _LEAST, _MOST
    found: dict[int, float] = {}
    while least <= most:
        quality = (least + most + 1) // 2 if found else min(85, _MOST)
        found[quality] = size(quality)
        if abs(found[quality] / wanted - 1) <= _NEAR:
            break
        if found[quality] < wanted:
            least = quality + 1
        else:
            most = quality - 1
    return min(found, key=lambda quality: abs(math.log(found[quality] / wanted)))
