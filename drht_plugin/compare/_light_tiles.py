"""Tiles of linear light, as scripts: a browser reads no other data from a page in a folder."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin.colour.spaces import SRGB

_DROPPED_BITS = 2
"""Mantissa bits of half floats that are rounded away; what is left is fine to 0.2 %."""


def pack_tile(path: Path) -> str:
    """Return a script that hands a tile to the viewer.

    The tile is compressed: height and width as uint16, then the high bytes of all values, then the
    low bytes. Values are half floats without their last bits, as whole numbers: green, and red and
    blue without green; of each the difference to the pixel on the left, folded to 0, -1, 1, -2, ….

    Args:
        path: of a picture of linear light, three bands of float.
    """
    light = pyvips.Image.new_from_file(str(path)).numpy()
    return f'light("{base64.b64encode(zlib.compress(_packed(light), 6)).decode()}");\n'


def _packed(light: npt.NDArray[Any]) -> bytes:
    bits = light.astype(np.float16).view(np.uint16).astype(np.int32)
    red, green, blue = np.moveaxis((bits + (1 << _DROPPED_BITS >> 1)) >> _DROPPED_BITS, -1, 0)
    planes = np.stack([green, red - green, blue - green])
    steps = np.diff(planes, axis=2, prepend=0)
    folded = np.where(steps < 0, -2 * steps - 1, 2 * steps).astype("<u2")
    size = np.array(light.shape[:2], "<u2").tobytes()
    return size + (folded >> 8).astype(np.uint8).tobytes() + folded.astype(np.uint8).tobytes()


def thumbnail(path: Path, target: Path) -> None:
    """Write a picture of linear light as a small JPEG.

    Args:
        path: of a picture of linear light, three bands of float.
        target: file to write.
    """
    light = np.clip(pyvips.Image.new_from_file(str(path)).numpy(), 0, 1)
    codes = np.rint(SRGB.encode(light) * 255).astype(np.uint8)
    pyvips.Image.new_from_array(codes).copy(interpretation="srgb").jpegsave(str(target), Q=85)
