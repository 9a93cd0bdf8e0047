"""Exposure by a meter, and a camera's curve from radiance to display codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.transfer import SRGB_LINEAR_END
from drht_plugin.virtual_camera.light import luminance


def metered_exposure(radiance: Tensor, mean: float = 0.2) -> Tensor:
    """The factor that brings the mean of min(luminance, 1) to `mean`, as a camera's meter does.

    B×3×H×W linear radiance to B factors, to 1 % accuracy.
    """
    light = F.adaptive_avg_pool2d(luminance(radiance), 64).flatten(1)
    light = light / light.median(1, keepdim=True).values.clamp_min(1e-9)
    low = torch.full_like(light[:, 0], -20.0)
    high = torch.full_like(light[:, 0], 20.0)
    for _ in range(14):
        middle = (low + high) / 2
        bright = (light * torch.exp2(middle)[:, None]).clamp(max=1).mean(1) > mean
        low, high = torch.where(bright, low, middle), torch.where(bright, middle, high)
    median = luminance(radiance)
    median = F.adaptive_avg_pool2d(median, 64).flatten(1).median(1).values.clamp_min(1e-9)
    return torch.exp2((low + high) / 2) / median


@dataclass(frozen=True)
class Curve:
    """Camera curves of a batch: coded = (1 + s)·H^n / (H^n + s), 1 at the clip point.

    A Naka–Rushton curve with toe `exponent` n and `middle`, the radiance coded as 0.5 (measured
    cameras: 0.10 to 0.15; the sRGB curve: 0.216). Where `srgb` is set, the sRGB curve instead.
    Each is a tensor of B values.
    """

    exponent: Tensor
    middle: Tensor
    srgb: Tensor

    def encode(self, radiance: Tensor) -> Tensor:
        """B×3×H×W radiance in 0..1 to display codes in 0..1."""
        n = self.exponent.view(-1, 1, 1, 1)
        h = self.middle.view(-1, 1, 1, 1) ** n
        s = 0.5 * h / (0.5 - h)
        power = radiance.clamp(0, 1) ** n
        own = (1 + s) * power / (power + s)
        return torch.where(self.srgb.view(-1, 1, 1, 1), display_codes(radiance.clamp(0, 1)), own)


def display_codes(linear: Tensor) -> Tensor:
    """Linear light ≥ 0 to display codes (IEC 61966-2-1)."""
    return torch.where(
        linear <= SRGB_LINEAR_END,
        linear * 12.92,
        1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055,
    )
