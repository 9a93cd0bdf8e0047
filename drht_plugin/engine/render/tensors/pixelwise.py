"""Guided detail in plain tensor operations, on any device of torch's.

Computes what `bridge.slicing` computes, and is tested against it. Every step is a sum, a product or
a comparison of one pixel's own values, so that a pixel's result does not depend on its window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.sizes import LEVELS, SURE, UNSURE
from drht_plugin.bridge.transfer import (
    ALPHA,
    GAMMA,
    H_MAX,
    LUMA_WEIGHTS,
    SRGB_CODED_END,
    SRGB_LINEAR_END,
)
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.engine.touch import Touch

Coordinates = npt.NDArray[np.int64]

_LN2 = math.log(2)


@dataclass(frozen=True)
class GridTables:
    """A tone grid on a device.

    Attributes:
        transforms: gy×n·(n+1)×LEVELS×gx float32 for n colours.
        sides: h×w×2n float32, the residual and the overview of smooth slopes.
        wrap: Columns are periodic.
    """

    transforms: Tensor
    sides: Tensor
    wrap: bool

    @property
    def colours(self) -> int:
        """Number of colours n: 1 for gray, 3 for RGB."""
        return self.sides.shape[2] // 2


def grid_tables(grid: ToneGrid, device: torch.device, *, wrap: bool) -> GridTables:
    """Copy a tone grid to a device."""
    rows, columns = grid.transforms.shape[:2]
    numbers = grid.colours * (grid.colours + 1)
    transforms = torch.from_numpy(grid.transforms.copy())
    transforms = transforms.view(rows, columns, LEVELS, numbers).permute(0, 3, 2, 1)
    sides = torch.from_numpy(grid.sides.copy())
    return GridTables(transforms.contiguous().to(device), sides.to(device), wrap)


def to_float(stored: Tensor, spec: ImageSpec) -> Tensor:
    """Convert stored pixels to float32 in units of white, alpha included."""
    if stored.dtype == torch.int16:  # the bits of uint16, see `device.upload`
        values = (stored.to(torch.int32) & 0xFFFF).float()
    else:
        values = stored.float()
    return values * (1 / spec.white) if spec.white != 1 else values


def to_display(stored: Tensor, spec: ImageSpec) -> Tensor:
    """Decode stored pixels R×C×K to display-encoded colours R×C×n float32."""
    values = to_float(stored[..., : spec.colours], spec)
    return srgb_encode(values) if spec.linear else values


@dataclass(frozen=True)
class DeviceTouch:
    """A last touch on a device; see `engine.touch.Touch`."""

    gains: Tensor
    curves: Tensor | None

    def apply(self, values: Tensor) -> Tensor:
        """Return the touched values R×C×n; see `bridge.touching.apply_curves`."""
        if self.curves is None:
            return values * self.gains
        parts, magnitude = self.curves.shape[1] - 2, values.abs()
        place = magnitude.clamp(max=1) * parts
        whole = place.to(torch.int64)
        share = torch.where(whole < parts, place - whole, magnitude - 1)
        made = torch.empty_like(values)
        for channel, curve in enumerate(self.curves):
            low, high = curve[whole[..., channel]], curve[whole[..., channel] + 1]
            made[..., channel] = low + share[..., channel] * (high - low)
        return torch.copysign(made, values)


def device_touch(touch: Touch, device: torch.device) -> DeviceTouch:
    """Copy a last touch to a device."""
    curves = None if touch.curves is None else torch.from_numpy(touch.curves.copy()).to(device)
    return DeviceTouch(torch.from_numpy(touch.gains.copy()).to(device), curves)


def touch_alone(stored: Tensor, spec: ImageSpec, touch: DeviceTouch) -> Tensor:
    """Apply a last touch to stored pixels that are not corrected; the result is stored alike."""
    return _store(touch.apply(to_float(stored[..., : spec.colours], spec)), stored, spec, True)


def from_display(
    display: Tensor, stored: Tensor, spec: ImageSpec, touch: DeviceTouch | None = None
) -> Tensor:
    """Encode display colours R×C×n as the image is stored, with the alpha of `stored`."""
    values = srgb_decode(display) if spec.linear else display
    if touch is not None:
        values = touch.apply(values)
    return _store(values, stored, spec, touch is not None)


def _store(values: Tensor, stored: Tensor, spec: ImageSpec, bounded: bool) -> Tensor:
    """Store values as the image's dtype; `bounded` keeps floats finite, which a gain may not."""
    if bounded and spec.dtype.kind == "f":
        most = float(np.finfo(spec.dtype).max)
        values = values.clamp(-most, most)
    if spec.dtype.kind == "u":
        values = (values * spec.white + 0.5).clamp(0, spec.white).to(torch.int32)
    result = torch.empty_like(stored)
    # Codes of 16 bits wrap around to the bits of int16.
    result[..., : spec.colours] = values.to(stored.dtype)
    if spec.alpha >= 0:
        result[..., spec.alpha] = stored[..., spec.alpha]
    return result


@dataclass(frozen=True)
class Taps:
    """Where positions lie between the samples of an axis.

    Attributes:
        low, high: Indices of the samples on both sides, int64.
        share: Weight of `high`, float32.
    """

    low: Tensor
    high: Tensor
    share: Tensor


def taps(
    positions: Coordinates, length: int, count: int, device: torch.device, *, wrap: bool = False
) -> Taps:
    """Place pixels of an axis between the samples of a coarser one.

    Args:
        positions: Pixel coordinates on the axis.
        length: Pixels of the axis.
        count: Samples of the coarser axis.
        device: Where the taps go.
        wrap: The axis is periodic; otherwise its ends are held.
    """
    at = (positions + 0.5) / length * count - 0.5
    if not wrap:
        at = at.clip(0, count - 1)
    whole = np.floor(at)
    low = whole.astype(np.int64)
    if not wrap:
        low = np.minimum(low, max(count - 2, 0))
    share = (at - low).astype(np.float32)
    high = (low + 1) % count if wrap else np.minimum(low + 1, count - 1)
    low %= count
    return Taps(*(torch.from_numpy(each).to(device) for each in (low, high, share)))


def interpolate(samples: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Interpolate samples h×w×k bilinearly at all pairs of rows and columns: R×C×k."""
    lines = _between(samples, rows, 0)
    return _between(lines, columns, 1)


def _between(samples: Tensor, where: Taps, axis: int) -> Tensor:
    low, high = samples.index_select(axis, where.low), samples.index_select(axis, where.high)
    shape = [1] * samples.dim()
    shape[axis] = -1
    return low + where.share.view(shape) * (high - low)


def guided_tone(
    tables: GridTables,
    display: Tensor,
    rows: Coordinates,
    columns: Coordinates,
    size: tuple[int, int],
    steps: float = 0.0,
) -> Tensor:
    """Slice the tone grid at every pixel.

    Args:
        tables: The tone grid.
        display: R×C×n display-encoded float32.
        rows, columns: Coordinates of the R rows and C columns in the scene.
        size: Height and width of the image.
        steps: Quantisation steps from 0 to 1 to smooth where they are lifted; 0 for none.

    Returns:
        T before clipping, R×C×n float32.
    """
    device, wrap, n = display.device, tables.wrap, tables.colours
    height, width = size
    side_rows, side_columns = tables.sides.shape[:2]
    sides = interpolate(
        tables.sides,
        taps(rows, height, side_rows, device),
        taps(columns, width, side_columns, device, wrap=wrap),
    )
    seen = display
    if steps:
        off = sides[..., n:] - display
        unsure = ((SURE - off.abs() * steps) * (1 / (SURE - UNSURE))).clamp(0, 1)
        seen = display + unsure * off
    seen = seen.clamp(0, 1)
    luma = weighted_luma(seen) if n == 3 else seen[..., 0]
    grid_rows, grid_columns = tables.transforms.shape[0], tables.transforms.shape[3]
    lines = _between(tables.transforms, taps(rows, height, grid_rows, device), 0)
    across = taps(columns, width, grid_columns, device, wrap=wrap)
    numbers = _sampled(lines, luma, across)
    numbers = numbers.view(len(rows), n, n + 1, len(columns))
    factors = numbers[:, :, :n] * seen.permute(0, 2, 1)[:, None]
    tone = sides[..., :n] + numbers[:, :, n].permute(0, 2, 1)
    for channel in range(n):
        tone = tone + factors[:, :, channel].permute(0, 2, 1)
    return tone


def _sampled(lines: Tensor, luma: Tensor, across: Taps) -> Tensor:
    """Interpolate between columns and levels of R×k×LEVELS×gx at each pixel: R×k×C."""
    # The column behind the last one is the first, where the axis is periodic.
    lines = torch.cat([lines, lines[..., :1]], 3)
    last = lines.shape[3] - 1
    # Inside, so that padding never counts: MPS has no padding by the border.
    u = ((across.low + across.share) * (2 / last) - 1).clamp(-1, 1)
    v = (2 * luma - 1).clamp(-1, 1)
    places = torch.stack([u.expand_as(v), v], -1)[:, None]
    return F.grid_sample(lines, places, "bilinear", "zeros", align_corners=True)[:, :, 0]


def mix(display: Tensor, tone: Tensor, strength: Strength, ceiling: float = 1.0) -> Tensor:
    """Apply the change from the input to T by strength; what lies outside 0..1 stays on top.

    Args:
        display: R×C×n input, display-encoded.
        tone: R×C×n T.
        strength: How much of the change is applied.
        ceiling: Largest value of T.
    """
    tone = tone.clamp(0, ceiling)
    change = tone - display.clamp(0, 1)
    lifts = (_luma(change) * 16 + 0.5).clamp(0, 1)
    share = lifts * (strength.shadows - strength.highlights) + strength.highlights
    applied: float | Tensor = min(strength.strength, 1.0)
    if strength.strength > 1:
        luma = _luma(tone)
        applied = 1 + (strength.strength - 1) * (lifts * (1 - 2 * luma) + luma)
    return display + applied * share * change


def _luma(colours: Tensor) -> Tensor:
    """Return the luma of R×C×n colours, R×C×1."""
    return weighted_luma(colours)[..., None] if colours.shape[-1] == 3 else colours


def weighted_luma(picture: Tensor) -> Tensor:
    """Return the luma of R×C×3 colours: R×C."""
    r, g, b = LUMA_WEIGHTS
    return picture[..., 0] * r + picture[..., 1] * g + picture[..., 2] * b


def srgb_decode(coded: Tensor) -> Tensor:
    """Convert display codes to linear light, extended by symmetry to all reals."""
    magnitude = coded.abs()
    curved = _power((magnitude + 0.055) * (1 / 1.055), 2.4)
    linear = torch.where(magnitude <= SRGB_CODED_END, magnitude * (1 / 12.92), curved)
    return torch.copysign(linear, coded)


def srgb_encode(linear: Tensor) -> Tensor:
    """Convert linear light to display codes, extended by symmetry to all reals."""
    magnitude = linear.abs()
    curved = 1.055 * _power(magnitude, 1 / 2.4) - 0.055
    coded = torch.where(magnitude <= SRGB_LINEAR_END, magnitude * 12.92, curved)
    return torch.copysign(coded, linear)


def to_radiance(y: Tensor) -> Tensor:
    """Convert y to H = (max(y, 0)/α)^(1/γ), at most H_MAX."""
    return _power(y.clamp_min(0) * (1 / ALPHA), 1 / GAMMA).clamp(max=H_MAX)


def _power(x: Tensor, exponent: float) -> Tensor:
    """Return x^exponent for x ≥ 0; x below 1e-30 counts as 0.

    By sums and products alone: a library's power differs between vector bodies and their tails.
    """
    power = _log2(x.clamp_min(1e-30)) * exponent
    positive = (x >= 1e-30) & (power >= -126)
    return torch.where(positive, _exp2(power.clamp(-126, 127)), 0.0)


def _log2(x: Tensor) -> Tensor:
    bits = x.view(torch.int32)
    exponent = (bits >> 23) - 127
    m = ((bits & 0x007FFFFF) | 0x3F800000).view(torch.float32)
    large = m > 1.4142135
    m = torch.where(large, m * 0.5, m)
    t = (m - 1) / (m + 1)
    u = t * t
    p = u * (2 / 9 / _LN2) + 2 / 7 / _LN2
    p = p * u + 2 / 5 / _LN2
    p = p * u + 2 / 3 / _LN2
    p = p * u + 2 / _LN2
    return (exponent + large).float() + t * p


def _exp2(x: Tensor) -> Tensor:
    whole = torch.floor(x + 0.5)
    f = (x - whole) * _LN2
    p = f * (1 / 5040) + 1 / 720
    for term in (1 / 120, 1 / 24, 1 / 6, 0.5, 1.0, 1.0):
        p = p * f + term
    scale = ((whole.to(torch.int32) + 127) << 23).view(torch.float32)
    return p * scale
