"""Kernel that averages 2×2 pixels of whole numbers in linear light; see `halving`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import kernel

Array = npt.NDArray[Any]


@kernel
def halve_codes(plane: Array, light: Array, codes: Array, out: Array) -> None:
    """Average the light of 2×2 pixels.

    Args:
        plane: R×W of the codes.
        light: float32, of each code, 0..1.
        codes: of each place on an even scale of the root of light.
        out: ⌈R/2⌉×⌈W/2⌉, written to.
    """
    rows, columns = plane.shape
    places = np.float32(codes.size - 1)
    half = np.float32(0.5)
    quarter = np.float32(0.25)
    for i in range(out.shape[0]):
        above, below = 2 * i, min(2 * i + 1, rows - 1)
        for j in range(out.shape[1]):
            left, right = 2 * j, min(2 * j + 1, columns - 1)
            mean = quarter * (
                (light[plane[above, left]] + light[plane[above, right]])
                + (light[plane[below, left]] + light[plane[below, right]])
            )
            out[i, j] = codes[np.int64(np.sqrt(mean) * places + half)]
