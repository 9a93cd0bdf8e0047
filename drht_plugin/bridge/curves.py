"""Kernels for transfer curves and the bridge in float32; `transfer` has the formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.jit import inline, shared_kernel
from drht_plugin.bridge.scalars import fma
from drht_plugin.bridge.transfer import ALPHA, GAMMA, H_MAX, SRGB_CODED_END, SRGB_LINEAR_END

Array = npt.NDArray[Any]

_f32 = np.float32
_LN2 = math.log(2)
_BITS_ONE = np.int32(0x3F800000)
_MANTISSA = np.int32(0x007FFFFF)
_ROUNDING = 3 << 22
"""Added to a float32 below 2^22, it leaves no fraction: the last bits are the whole number."""


@inline
def _log2(x: Any) -> Any:
    """Return log2 of a positive normal float32; absolute error below 3e-7 + 1e-7·|log2 x|."""
    bits = _f32(x).view(np.int32)
    exponent = np.int32((bits >> np.int32(23)) - np.int32(127))
    m = np.int32((bits & _MANTISSA) | _BITS_ONE).view(np.float32)
    if m > _f32(1.4142135):
        m = m * _f32(0.5)
        exponent = np.int32(exponent + np.int32(1))
    # Series of the inverse hyperbolic tangent: log(m) = 2·atanh(t).
    t = (m - _f32(1)) / (m + _f32(1))
    u = t * t
    p = _f32(2 / 9 / _LN2)
    p = p * u + _f32(2 / 7 / _LN2)
    p = p * u + _f32(2 / 5 / _LN2)
    p = p * u + _f32(2 / 3 / _LN2)
    p = p * u + _f32(2 / _LN2)
    return _f32(exponent) + t * p


@inline
def _exp2(x: Any) -> Any:
    """Return 2^x of a float32 in −126..127, with a relative error below 2e-7."""
    whole = np.floor(x + _f32(0.5))
    f = (x - whole) * _f32(_LN2)
    p = _f32(1 / 5040)
    p = p * f + _f32(1 / 720)
    p = p * f + _f32(1 / 120)
    p = p * f + _f32(1 / 24)
    p = p * f + _f32(1 / 6)
    p = p * f + _f32(0.5)
    p = p * f + _f32(1)
    p = p * f + _f32(1)
    scale = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return p * scale


@inline
def _power(x: Any, exponent: Any) -> Any:
    """Return x^exponent for x ≥ 0; an x below 1e-30, or a result below 2^−126, counts as 0."""
    if x < _f32(1e-30):
        return _f32(0)
    power = _log2(x) * exponent
    return _exp2(power) if power >= _f32(-126) else _f32(0)


@inline
def _srgb_decode(coded: Any) -> Any:
    """Return the linear light of a display code, odd in the code."""
    magnitude = abs(coded)
    if magnitude <= _f32(SRGB_CODED_END):
        linear = magnitude * _f32(1 / 12.92)
    else:
        linear = _power((magnitude + _f32(0.055)) * _f32(1 / 1.055), _f32(2.4))
    return math.copysign(linear, coded)


@inline
def _srgb_encode(linear: Any) -> Any:
    """Return the display code of linear light, odd in the light."""
    magnitude = abs(linear)
    if magnitude <= _f32(SRGB_LINEAR_END):
        coded = magnitude * _f32(12.92)
    else:
        coded = _f32(1.055) * _power(magnitude, _f32(1 / 2.4)) - _f32(0.055)
    return math.copysign(coded, linear)


# ELU is a small part of correcting a pixel, and networks call it for small arrays.
@shared_kernel(lambda codes: (codes.size, 1 / 64))
def elu_bfloat16(codes: Array, first: int, last: int) -> None:
    """Apply ELU, rounded to the nearest bfloat16: x if positive, e^x − 1 otherwise.

    Args:
        codes: bits of n bfloat16 as uint16, changed in place; of NaN, the bits are kept.
        first: first row to work on.
        last: row after the last.
    """
    part = codes[first:last]
    for i in range(part.size):
        code = np.int32(part[i])
        x = np.int32(code << np.int32(16)).view(np.float32)
        # e^x = 2^whole · e^f with |f| ≤ ln 2 / 2; e^f − 1 by a polynomial. e^−80 is nothing.
        bounded = x if x > _f32(-80) else _f32(-80)
        shifted = fma(bounded, _f32(1 / _LN2), _f32(_ROUNDING))
        f = fma(shifted - _f32(_ROUNDING), _f32(-_LN2), bounded)
        p = fma(f, _f32(0.0083637765), _f32(0.0418371933))
        p = fma(p, f, _f32(0.1666657336))
        p = fma(p, f, _f32(0.4999973864))
        p = fma(p, f * f, f)
        whole = _f32(shifted).view(np.int32)
        scale = np.int32((whole << np.int32(23)) + _BITS_ONE).view(np.float32)
        bits = _f32(fma(p, scale, scale - _f32(1))).view(np.int32)
        half = np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))
        rounded = np.int32(bits + half) >> np.int32(16)
        part[i] = np.uint16(rounded if x < _f32(0) else code)


@shared_kernel(lambda coded, _: (coded.size, 1))
def decode_srgb(coded: Array, linear: Array, first: int, last: int) -> None:
    """Convert display codes to linear light.

    Args:
        coded: n float32.
        linear: n float32, written to; may be `coded`.
        first: first row to work on.
        last: row after the last.
    """
    for i in range(first, last):
        linear[i] = _srgb_decode(coded[i])


@shared_kernel(lambda linear, _: (linear.size, 1))
def encode_srgb(linear: Array, coded: Array, first: int, last: int) -> None:
    """Convert linear light to display codes.

    Args:
        linear: n float32.
        coded: n float32, written to; may be `linear`.
        first: first row to work on.
        last: row after the last.
    """
    for i in range(first, last):
        coded[i] = _srgb_encode(linear[i])


@shared_kernel(lambda y, _: (y.size, 1))
def to_radiance(y: Array, radiance: Array, first: int, last: int) -> None:
    """Convert y to H = (max(y, 0)/α)^(1/γ), at most H_MAX.

    Args:
        y: n float32.
        radiance: n float32, written to; may be `y`.
        first: first row to work on.
        last: row after the last.
    """
    for i in range(first, last):
        power = _power(max(y[i], _f32(0)) * _f32(1 / ALPHA), _f32(1 / GAMMA))
        radiance[i] = min(power, _f32(H_MAX))
