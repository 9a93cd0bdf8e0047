"""Kernel of the last touch: a curve for each colour, from codes to codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import shared_kernel

Array = npt.NDArray[Any]

_f32 = np.float32


@shared_kernel(lambda values, _: values.shape[:2])
def apply_curves(values: Array, curves: Array, first: int, last: int) -> None:
    """Replace the colours of pixels by what curves make of them; channels behind them stay.

    A curve is linear between its samples, goes on as a line beyond 1, and is odd.

    Args:
        values: R×C×K float32, changed in place.
        curves: n×(N + 2) float32 for n ≤ K colours: the results of N + 1 even values of 0..1, and
            of 2.
        first: first row to work on.
        last: row after the last.
    """
    colours, parts = curves.shape[0], curves.shape[1] - 2
    scale, one = _f32(parts), _f32(1)
    for i in range(first, last):
        for j in range(values.shape[1]):
            for c in range(colours):
                value = values[i, j, c]
                place = min(abs(value), one) * scale
                n = int(place)
                share = place - _f32(n) if n < parts else abs(value) - one
                low = curves[c, n]
                made = low + share * (curves[c, n + 1] - low)
                values[i, j, c] = math.copysign(made, value)
