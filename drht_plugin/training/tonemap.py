"""True LDR: the display picture of a scene that the second network learns to produce."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.virtual_camera import Curve, luminance

_GRAY = (0.299, 0.587, 0.114)
_NO_WEIGHT = 1e-12
"""Added to every weight, so that pixels without any weight become the mean of the shots."""

_COARSEST = 2
"""Shorter side in pixels at which the pyramids end; overall brightness is fused there."""

_TOE, _SHOULDER = 0.12, 0.1
"""Distance from 0 and from 1, in display codes, within which the fused picture is rolled off."""


def fusion(
    radiance: Tensor,
    *,
    shots: int = 6,
    stops: float = 7.0,
    key: float = 0.04,
    contrast: float = 0.2,
) -> Tensor:
    """Fuse a bracket of exposures around each scene's range into one display picture.

    Exposure fusion after Mertens, Kautz, Van Reeth, "Exposure fusion", 2007, with equal weights
    of contrast, saturation and well-exposedness. The sum of the bands may leave 0..1; it is rolled
    off at both ends and given a mild S-curve.

    Args:
        radiance: B×3×H×W linear light in any unit, on any device.
        shots: pictures in the bracket, taken by a typical camera.
        stops: EV from the darkest to the brightest picture.
        key: the middle of the bracket exposes the middle of the scene's range (between the 1st
            and 99th percentile of luminance, in EV) to this share of the clip point.
        contrast: strength of the S-curve, 0 for none.

    Returns:
        B×3×H×W display codes in 0..1.
    """
    batch, _, height, width = radiance.shape
    bracket = _bracket(radiance, shots, stops, key).flatten(0, 1)
    weights = _weights(bracket).view(batch, shots, 1, height, width)
    weights = (weights / weights.sum(1, keepdim=True)).flatten(0, 1)
    bands: list[Tensor] = []
    while True:
        last = min(bracket.shape[-2:]) <= _COARSEST
        smaller = bracket if last else _halve(bracket)
        band = bracket if last else bracket - _double(smaller, bracket.shape)
        bands.append((band * weights).view(batch, shots, 3, *band.shape[-2:]).sum(1))
        if last:
            break
        bracket, weights = smaller, _halve(weights)
    picture = bands.pop()
    while bands:
        picture = _double(picture, bands[-1].shape) + bands.pop()
    picture = _roll_off(picture)
    return picture + contrast * (picture * picture * (3 - 2 * picture) - picture)


def _bracket(radiance: Tensor, shots: int, stops: float, key: float) -> Tensor:
    """Return the bracket, B×shots×3×H×W display codes."""
    light = luminance(radiance).clamp_min(0).flatten(1)
    dark, bright = torch.quantile(light, light.new_tensor([0.01, 0.99]), dim=1)
    floor = 1e-5 * light.median(1).values + 1e-30
    exposure = (key / ((dark + floor).sqrt() * (bright + floor).sqrt())).view(-1, 1, 1, 1, 1)
    ratios = torch.exp2(torch.linspace(-stops / 2, stops / 2, shots, device=radiance.device))
    exposed = radiance[:, None] * (exposure * ratios.view(1, -1, 1, 1, 1))
    one = ratios.new_ones(1)
    return Curve(0.85 * one, 0.12 * one, one < 0).encode(exposed)


def _weights(shots: Tensor) -> Tensor:
    """Return N×1×H×W weights: contrast × saturation × well-exposedness (σ = 0.2)."""
    gray = (shots * shots.new_tensor(_GRAY).view(3, 1, 1)).sum(1, keepdim=True)
    padded = F.pad(gray, (1, 1, 1, 1), "replicate")
    sides = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    ends = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    contrast = (sides + ends - 4 * gray).abs()
    saturation = shots.std(1, keepdim=True, unbiased=False)
    exposedness = torch.exp(((shots - 0.5) ** 2).sum(1, keepdim=True) / (-2 * 0.2**2))
    return contrast * saturation * exposedness + _NO_WEIGHT


def _roll_off(picture: Tensor) -> Tensor:
    """Bring codes into 0..1 by smooth curves below the toe and above the shoulder."""
    toe = _TOE * torch.exp(picture.clamp(max=_TOE) / _TOE - 1)
    top = 1 - _SHOULDER
    shoulder = 1 - _SHOULDER * torch.exp((top - picture.clamp(min=top)) / _SHOULDER)
    return torch.where(picture < _TOE, toe, torch.where(picture > top, shoulder, picture))


def _halve(x: Tensor) -> Tensor:
    """Reduce by one level of the Gaussian pyramid (Burt & Adelson 1983), to ⌈n/2⌉ on each side."""
    for axis in (-1, -2):
        x = x.transpose(axis, -1)
        size = (x.shape[-1] + 1) // 2
        x = F.pad(x, (2, 2, 0, 0), "reflect" if x.shape[-1] > 2 else "replicate")
        even, odd = x[..., 0::2], x[..., 1::2]
        outer = even[..., :size] + even[..., 2 : size + 2]
        inner = odd[..., :size] + odd[..., 1 : size + 1]
        x = ((outer + 4 * inner + 6 * even[..., 1 : size + 1]) / 16).transpose(axis, -1)
    return x


def _double(x: Tensor, size: torch.Size) -> Tensor:
    """Expand by one level of the Gaussian pyramid, to the height and width of `size`."""
    for axis in (-1, -2):
        x = x.transpose(axis, -1)
        x = F.pad(x, (1, 1, 0, 0), "replicate")
        left, middle, right = x[..., :-2], x[..., 1:-1], x[..., 2:]
        pairs = torch.stack([(left + 6 * middle + right) / 8, (middle + right) / 2], -1)
        x = pairs.flatten(-2)[..., : size[axis]].transpose(axis, -1)
    return x
