"""Whether a correction that succeeded is right: against the file itself, and other decoders."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from drht_plugin import io

_JUDGED = {".png": 0, ".tif": 0, ".tiff": 0, ".ppm": 0, ".pgm": 0, ".jpg": 3.0, ".jpeg": 3.0}
"""Formats that Pillow decodes too, and the mean difference (codes) that decoders may have."""

_LOSSY = (".jpg", ".jpeg", ".webp", ".avif", ".hdr")

_MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def complaint(source: Path, target: Path) -> str:
    """Return what is wrong with the result of strength 0, which is its source; "" for nothing."""
    read, written = io.read_picture(source), io.read_picture(target)
    if read.shape != written.shape or read.dtype != written.dtype:
        return f"{written.dtype} {written.shape} of {read.dtype} {read.shape}"
    lossless = source.suffix not in _LOSSY and (source.suffix != ".jxl" or read.carrier.lossless)
    floats = read.dtype.kind == "f"
    if lossless and not np.array_equal(read.pixels, written.pixels, equal_nan=floats):
        return "the result has other pixels than its source"
    return _against_pillow(source, read.pixels)


def _against_pillow(path: Path, pixels: np.ndarray) -> str:
    """Compare 8-bit pixels to Pillow's, where it reads the file at all."""
    # Pillow takes minutes over some large files.
    large = path.stat().st_size > 1 << 20
    if large or path.suffix not in _JUDGED or pixels.dtype != np.uint8:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if _MODES.get(image.mode) != pixels.shape[2] or image.size != pixels.shape[1::-1]:
                    return ""
                other = np.asarray(image).reshape(pixels.shape)
    except Exception:  # Pillow refuses, or fails on, what it does not like
        return ""
    difference = np.abs(other.astype(np.int16) - pixels).mean()
    if difference > _JUDGED[path.suffix]:
        return f"differs from Pillow's pixels by {difference:.1f} codes on average"
    return ""
