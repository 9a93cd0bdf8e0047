"""Halve pictures: each pixel the mean of 2×2, in linear light."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.transfer import srgb_decode, srgb_encode

Array = npt.NDArray[Any]

_PLACES = {"uint8": 1 << 12, "uint16": 1 << 20}
"""Places of the table from the root of light to codes; codes are many places apart everywhere."""


def halve(planes: Array, *, linear: bool, coded: int | None = None) -> Array:
    """Return planes of half the size, rounded up, whose pixels are means of 2×2.

    At an odd border the last row or column counts twice. A flat picture keeps its codes.

    Args:
        planes: C×R×W; uint8, uint16, float16 or float32.
        linear: whether values are scene-linear; otherwise they are decoded by the sRGB curve, and
            encoded after.
        coded: number of planes that this holds for; the rest, which is alpha, is averaged as it is.
            None is all.

    Returns:
        C×⌈R/2⌉×⌈W/2⌉ of the same dtype.
    """
    rows, columns = planes.shape[1:]
    out = np.empty((len(planes), -(-rows // 2), -(-columns // 2)), planes.dtype)
    for index, plane in enumerate(planes):
        flat = linear or (coded is not None and index >= coded)
        if planes.dtype.kind == "u":
            from drht_plugin.bridge.halving_kernel import halve_codes

            light, codes = _tables(planes.dtype.name, flat)
            halve_codes(np.ascontiguousarray(plane), light, codes, out[index])
        else:
            out[index] = _halve_floats(plane, flat)
    return out


def _halve_floats(plane: Array, linear: bool) -> Array:
    pads = ((0, plane.shape[0] % 2), (0, plane.shape[1] % 2))
    light = np.pad(plane, pads, mode="edge").astype(np.float32)
    if not linear:
        light = srgb_decode(light)
    mean = (light[::2, ::2] + light[::2, 1::2] + light[1::2, ::2] + light[1::2, 1::2]) / 4
    return mean if linear else srgb_encode(mean)


@lru_cache(maxsize=4)
def _tables(dtype: str, linear: bool) -> tuple[Array, Array]:
    """Return the light of each code, and the code of each place on an even scale of its root."""
    most, places = np.iinfo(dtype).max, _PLACES[dtype]
    coded = np.arange(most + 1) / most
    light = coded if linear else srgb_decode(coded)
    roots = (np.arange(places) / (places - 1)) ** 2
    codes = np.rint(most * (roots if linear else srgb_encode(roots)))
    return light.astype(np.float32), codes.astype(dtype)
