"""Scalar helpers of the kernels."""

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
    """Compute a·b + c of float32, rounded once if the processor can and twice otherwise.

    It is explicit, since a compiler that may fuse could do so in vector bodies only.
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
    """Return whether the processor has fused multiply-add."""
    features = llvmlite.binding.get_host_cpu_features()
    return bool(features.get("fma", True))


@inline
def clamp(value: Any, low: Any, high: Any) -> Any:
    """Return the value limited to low..high.

    Args:
        value: float32.
        low: least result.
        high: largest result.
    """
    return min(max(value, low), high)


@inline
def neighbour_columns(position: Any, count: Any, wrap: Any) -> Any:
    """Return the two columns around a position, and the weight of the second.

    Args:
        position: in columns, of any value.
        count: number of columns.
        wrap: whether columns are periodic; otherwise the position is clamped.
    """
    if wrap:
        whole = math.floor(position)
        left = int(whole) % count
        return left, (left + 1) % count, _f32(position - whole)
    return neighbour_rows(position, count)


@inline
def neighbour_rows(position: Any, count: Any) -> Any:
    """Return the two rows around a position, and the weight of the second.

    Args:
        position: in rows; clamped to 0..count−1.
        count: number of rows.
    """
    position = min(max(position, 0.0), count - 1.0)
    low = min(int(position), max(count - 2, 0))
    return low, min(low + 1, count - 1), _f32(position - low)


@inline
def applied_share(change: Any, luma: Any, strength: Any, shadows: Any, highlights: Any) -> Any:
    """Return the share of a correction that is applied.

    What `strength` has above 1 counts by the room that T leaves: to white where luma rises, and to
    black where it falls. So the result stays between them, and bright pixels keep their order.

    Args:
        change: change of luma; the share fades from `highlights` to `shadows` over ±1/32.
        luma: luma of T, 0..1.
        strength: share of the whole correction, 0..2.
        shadows: share where luma rises, 0..1.
        highlights: share where luma falls, 0..1.
    """
    one = _f32(1)
    lifts = clamp(fma(change, _f32(16), _f32(0.5)), _f32(0), one)
    room = fma(lifts, one - (luma + luma), luma)
    applied = fma(max(strength - one, _f32(0)), room, min(strength, one))
    return applied * fma(lifts, shadows - highlights, highlights)


@inline
def interpolate_rows(plane: Any, position: Any, out: Any) -> None:
    """Interpolate a row of a plane.

    Args:
        plane: n×m×k float32.
        position: in rows; clamped to 0..n−1.
        out: m×k float32, written to.
    """
    low, high, share = neighbour_rows(position, plane.shape[0])
    for a in range(plane.shape[1]):
        for k in range(plane.shape[2]):
            value = plane[low, a, k]
            out[a, k] = fma(share, plane[high, a, k] - value, value)
