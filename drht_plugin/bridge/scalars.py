"""Scalar helpers that kernels are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from drht_plugin.bridge.jit import inline
from drht_plugin.bridge.transfer import LUMA_WEIGHTS

LUMA_R, LUMA_G, LUMA_B = (np.float32(weight) for weight in LUMA_WEIGHTS)

_f32 = np.float32


def _fma(_context: Any, a: Any, b: Any, c: Any) -> tuple[Any, Callable[..., Any]]:
    """a·b + c of float32, rounded once; twice where the processor has no such instruction.

    Written out, since a compiler that is free to fuse may do so in a vector body alone.
    """

    def generate(_target: Any, builder: Any, _signature: Any, given: Any) -> Any:
        if _has_fma():
            return builder.fma(*given)
        return builder.fadd(builder.fmul(given[0], given[1]), given[2])

    return types.float32(types.float32, types.float32, types.float32), generate


fma: Any = intrinsic(_fma)


@cache
def _has_fma() -> bool:
    # Processors other than x86 do not list it, and have it.
    features = llvmlite.binding.get_host_cpu_features()
    return bool(features.get("fma", True))


@inline
def clamp(value: Any, low: Any, high: Any) -> Any:
    """The value, at least `low` and at most `high`."""
    return min(max(value, low), high)


@inline
def neighbour_columns(position: Any, count: Any, wrap: Any) -> Any:
    """The two columns of `count` around a position, and the second one's share."""
    if wrap:
        whole = math.floor(position)
        left = int(whole) % count
        return left, (left + 1) % count, _f32(position - whole)
    return neighbour_rows(position, count)


@inline
def neighbour_rows(position: Any, count: Any) -> Any:
    """The two rows of `count` around a position, held at the ends, and the second one's share."""
    position = min(max(position, 0.0), count - 1.0)
    low = min(int(position), max(count - 2, 0))
    return low, min(low + 1, count - 1), _f32(position - low)


@inline
def applied_share(change: Any, strength: Any, shadows: Any, highlights: Any) -> Any:
    """How much of a correction is applied: `shadows` where it lifts luma, else `highlights`."""
    lifts = clamp(fma(change, _f32(16), _f32(0.5)), _f32(0), _f32(1))
    return strength * fma(lifts, shadows - highlights, highlights)


@inline
def interpolate_rows(plane: Any, position: Any, out: Any) -> None:
    """Interpolate rows of plane (n×m×k float32) at `position`, held at the ends."""
    low, high, share = neighbour_rows(position, plane.shape[0])
    for a in range(plane.shape[1]):
        for k in range(plane.shape[2]):
            value = plane[low, a, k]
            out[a, k] = fma(share, plane[high, a, k] - value, value)
